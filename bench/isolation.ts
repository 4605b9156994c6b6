/*
 * What a tenant gets while its neighbour floods: two tenants with a link each over one link of the layer below, every
 * link with what it was sold. The victim sends half of what it bought; the neighbour, nothing, or as much as it can, or
 * the same when the layer below forgot to give it a meter of its own. Agents, stations and flood share the machine's cores.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { apply, netns, sweep } from '../test/node/machines.js';
import { A, type Agents, build, mbit, type Rates, upper, whileFlooded } from '../test/node/tenants.js';
import { median, round, row, type Row } from './report.js';
import { undoAtExit } from './undo.js';

const rounds = 5;
const packetsPerSecond = 10_000;
const bytes = 1200;
const seconds = 2;
/** Mbit/s: the victim bought twice what it sends. */
const sold: Rates = { lower: mbit(400), iptv: mbit(200), games: mbit(200) };

/** Sends at its pace, whatever the timers do, and says how many. */
const SEND = `
  const socket = require('dgram').createSocket('udp4');
  const frame = Buffer.alloc(${bytes});
  const total = ${packetsPerSecond * seconds};
  socket.bind(() => socket.connect(9, '10.0.2.2', () => {
    const start = performance.now();
    let sent = 0;
    const some = () => {
      const due = Math.min(total, (performance.now() - start) * ${packetsPerSecond / 1000});
      for (; sent < due; sent++) socket.send(frame, () => undefined);
      if (sent < total) setTimeout(some, 1);
      else setTimeout(() => { console.log(sent); process.exit(0); }, 300);
    };
    some();
  }));`;

/** Counts until its input ends. */
const RECEIVE = `
  const socket = require('dgram').createSocket({ type: 'udp4', recvBufferSize: 1 << 23 });
  let received = 0;
  socket.on('message', () => received++);
  socket.bind(9, () => console.log('ready'));
  process.stdin.on('end', () => { console.log(received); process.exit(0); }).resume();`;

interface Measured {
  /** Of those sent, in percent. */
  readonly loss: number;
  /** Received, of the victim's payload. */
  readonly mbits: number;
}

function script(station: string, text: string) {
  const path = `/run/netns/${netns(`st.${station}`)}`;
  const child = spawn('nsenter', [`--net=${path}`, '--', process.execPath, '-e', text], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (part: Buffer) => (said += part.toString()));
  const ended = once(child, 'close').then(() => said);
  return { child, ended };
}

async function victim(): Promise<Measured> {
  const receiver = script('iptvB', RECEIVE);
  await once(receiver.child.stdout, 'data');
  const sent = Number(await script('iptvA', SEND).ended);
  receiver.child.stdin.end();
  const received = Number((await receiver.ended).replace('ready', ''));
  return { loss: 100 * (1 - received / sent), mbits: (received * bytes * 8) / seconds / 1e6 };
}

async function measure(agents: Agents): Promise<readonly Measured[][]> {
  const ways = [
    () => victim(),
    () => whileFlooded(victim),
    async () => {
      await apply(agents.a, 'conn', upper(A, { ...sold, games: {} }));
      try {
        return await whileFlooded(victim);
      } finally {
        await apply(agents.a, 'conn', upper(A, sold));
      }
    },
  ];
  const all = ways.map((): Measured[] => []);
  for (let i = 0; i < rounds; i++) {
    for (const [k, way] of ways.entries()) all[k]?.push(await way());
  }
  return all;
}

export async function isolation(): Promise<Row[]> {
  const undo = undoAtExit(sweep);
  const agents = await build(sold);
  try {
    const [alone, held, loose] = (await measure(agents)).map((all) => ({
      mbits: round(median(all.map(({ mbits }) => mbits))),
      loss: round(median(all.map(({ loss }) => loss))),
    }));
    if (!alone || !held || !loose) throw new Error('nothing measured');
    const rows = (unit: string, of: (one: Measured) => number): Row[] => [
      row({
        bench: 'isolation',
        case: `victim beside a flood, ${unit === '%' ? 'loss' : 'received'}`,
        unit,
        value: of(held),
        peer: 'alone',
        peerValue: of(alone),
      }),
      row({
        bench: 'isolation',
        case: `victim beside a flood, ${unit === '%' ? 'loss' : 'received'}`,
        unit,
        value: of(held),
        peer: 'the flood without a meter of its own',
        peerValue: of(loose),
      }),
    ];
    return [...rows('Mbit/s', ({ mbits }) => mbits), ...rows('%', ({ loss }) => loss)];
  } finally {
    await agents.a.close();
    await agents.b.close();
    undo();
  }
}
