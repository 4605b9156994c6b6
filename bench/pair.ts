/*
 * Two machines with a real agent each, joined by two disjoint wires that can be cut; a tunnel over each, links of two
 * paths by those, and a station on either side.
 *
 *   hp - P ══ wire 0 ══ M - hm
 *          ══ wire 1 ══
 */
import { BpfMap } from '../native/lib/index.js';
import { LinkHistory } from '../gen/layout.js';
import { v1 } from '../src/api/node.js';
import { BfdDiagnostic, BfdState } from '../src/dataplane/index.js';
import { type Agent } from '../src/node/agent.js';
import { listPaths } from '../src/node/rpc/paths.js';
import {
  addMachine,
  addStation,
  address,
  apply,
  inside,
  ip,
  netns,
  node,
  port,
  type Resource,
  route,
  startAgent,
  sweep,
  tunnel,
  until,
  vifName,
} from '../test/node/machines.js';
import { BPF_FS } from '../src/world/place.js';
import { Middles } from './middles.js';
import { type Route } from './paced.js';
import { SenderProcess } from './sender-process.js';
import { undoAtExit } from './undo.js';

export const ENDS = ['P', 'M'] as const;
export type End = (typeof ENDS)[number];
const MTU = 1600;

export interface Watched {
  readonly intervalUs: number;
  readonly multiplier: number;
}

export interface Carried extends Watched {
  readonly name: string;
  /** By the API's number; the first path that is up, if not said. */
  readonly protection?: number;
}

/** A session never is quicker again than a second while it is not up; this adds as little as can be. */
const RESTORE_MS = 1;

/** In the word of a session: down, for nothing was heard. */
const SILENT = BfdState.BFD_DOWN | (BfdDiagnostic.BFD_DETECTION_TIME_EXPIRED << 8);

/** Where the machine's agent pins its maps. */
const mapsOf = (end: End): string => `${BPF_FS}/${netns(end)}/maps`;

const far = (end: End): End => (end === 'P' ? 'M' : 'P');

/** A tunnel over each wire, and the virtual node. */
function below(end: End): Resource[] {
  const k = ENDS.indexOf(end);
  const tunnels = [0, 1].map((i) => tunnel(`w${i}`, `100.64.0.${2 * i + k}`, `100.64.0.${2 * i + 1 - k}`));
  return [...tunnels, node('iptv', end, 'iptv')];
}

/** The link's end: labels 1000 and up by wire 0, 100 000 and up by wire 1; what M expects is one more. */
export function linkEnd(
  end: End,
  name: string,
  number: number,
  watched: Watched,
  protection = 1,
): Resource[] {
  const label = (wire: number, at: End): number => 1000 + 100_000 * wire + 2 * number + (at === 'M' ? 1 : 0);
  const vif = vifName(`iptv/${end}/${name}`);
  const { intervalUs, multiplier } = watched;
  const intervals = { minTxUs: intervalUs, minRxUs: intervalUs, multiplier, restoreMs: RESTORE_MS };
  const paths = [0, 1].map((wire) => ({
    tunnel: `tunnels/w${wire}`,
    label: label(wire, far(end)),
    liveness: { label: label(wire, end), ...intervals },
  }));
  const labels = [0, 1].map((wire) => ({
    label: { tunnel: `tunnels/w${wire}`, label: label(wire, end), deliver: vif },
  }));
  return [{ vif: { name: vif, link: { paths, protection } } }, ...labels];
}

export class Pair {
  readonly wires: Middles;
  readonly #agents: Readonly<Record<End, Agent>>;
  readonly #histories: Readonly<Record<End, BpfMap>>;
  readonly #undo: () => void;

  private constructor(wires: Middles, agents: Readonly<Record<End, Agent>>, undo: () => void) {
    this.wires = wires;
    this.#agents = agents;
    const open = (end: End): BpfMap => BpfMap.openPinned(`${agents[end].options.pinDir}/maps/link_histories`);
    this.#histories = { P: open('P'), M: open('M') };
    this.#undo = undo;
  }

  static async build(): Promise<Pair> {
    sweep();
    const undo = undoAtExit(() => {
      for (const end of ENDS) SenderProcess.findAll(mapsOf(end)).forEach((sender) => sender.kill());
      sweep();
    });
    addMachine('P', '100.127.0.1', 'fd64:ffff::1');
    addMachine('M', '100.127.0.3', 'fd64:ffff::3');
    const wire = (i: number) =>
      [
        { namespace: netns('P'), interface: `to-M${i}` },
        { namespace: netns('M'), interface: `to-P${i}` },
      ] as const;
    const wires = await Middles.lay(`bench-pair-${process.pid}`, [wire(0), wire(1)], MTU);
    for (const i of [0, 1]) {
      for (const [k, { namespace, interface: device }] of wire(i).entries())
        ip('-n', namespace, 'address', 'add', `100.64.0.${2 * i + k}/31`, 'dev', device);
    }
    addStation('P', 'hp', 'st-hp', ['10.0.1.2/24']);
    addStation('M', 'hm', 'st-hm', ['10.0.3.2/24']);
    const agents = { P: await startAgent('P'), M: await startAgent('M') };
    for (const end of ENDS) await apply(agents[end], 'one', below(end));
    return new Pair(wires, agents, undo);
  }

  get route(): Route {
    const station = (name: string): string => `/run/netns/${netns(`st.${name}`)}`;
    return { from: station('hp'), to: station('hm'), source: '10.0.1.2', destination: '10.0.3.2' };
  }

  /** These links, numbered from 0, and no others. */
  async carry(carried: readonly Carried[]): Promise<void> {
    for (const end of ENDS) {
      const links = carried.flatMap((link, i) => linkEnd(end, link.name, i, link, link.protection));
      const station = port(`iptv/${end}/station`, end === 'P' ? 'st-hp' : 'st-hm');
      await apply(this.#agents[end], 'one', [...below(end), station, ...links]);
    }
  }

  /** By link `name`, until a station's packet has come through. */
  async routeBy(name: string): Promise<void> {
    for (const [k, end] of ENDS.entries()) {
      await apply(this.#agents[end], 'iptv', [
        address(`iptv/${end}/station`, `10.0.${end === 'P' ? 1 : 3}.1/24`),
        address(`iptv/${end}/${name}`, `10.1.0.${k}/31`),
        route(`iptv/${end}`, `10.0.${end === 'P' ? 3 : 1}.0/24`, [name, `10.1.0.${1 - k}`]),
      ]);
    }
    const reaches = (): boolean =>
      inside(netns('st.hp'), 'ping', '-c', '1', '-W', '1', '10.0.3.2').status === 0;
    await until('the stations reach each other', reaches);
  }

  #vif(end: End, name: string): number {
    const vif = this.#agents[end].vifs.get(vifName(`iptv/${end}/${name}`));
    if (!vif) throw new Error(`${end} has no link ${name}`);
    return vif.id;
  }

  history(end: End, name: string): LinkHistory {
    const key = Buffer.from(Uint32Array.of(this.#vif(end, name)).buffer);
    const bytes = this.#histories[end].lookup(key);
    if (!bytes) throw new Error('no such history');
    return LinkHistory.decode(bytes);
  }

  /** Tells of each session that has ended by itself, until what is returned is called: of which link, and when (monotonic ns). */
  onSilence(links: readonly string[], tell: (link: string, at: number) => void): () => void {
    const undo = ENDS.map((end) => {
      const names = new Map(links.map((name) => [this.#vif(end, name), name]));
      return this.#agents[end].plane.sessions.watch((events) => {
        for (const { vif, time, before, after } of events) {
          const name = names.get(vif);
          const wasUp = (before & 0xff) === BfdState.BFD_UP;
          if (name !== undefined && wasUp && after === SILENT) tell(name, Number(time));
        }
      });
    });
    return () => undo.forEach((each) => each());
  }

  /** Path 0 is in use, and all are up, at the interval wanted; of all links, if there is one. */
  isWhole(intervalUs?: number): boolean {
    return ENDS.every((end) =>
      this.paths(end).every(
        ({ index, inUse, liveness }) =>
          inUse === (index === 0) &&
          liveness?.state === v1.SessionState.SESSION_STATE_UP &&
          liveness.remoteState === v1.SessionState.SESSION_STATE_UP &&
          (intervalUs === undefined || liveness.intervalUs === intervalUs),
      ),
    );
  }

  /** All are up, whichever is in use. */
  isUp(): boolean {
    const { SESSION_STATE_UP } = v1.SessionState;
    return ENDS.every((end) =>
      this.paths(end).every(
        ({ liveness }) => liveness?.state === SESSION_STATE_UP && liveness.remoteState === SESSION_STATE_UP,
      ),
    );
  }

  /** Of all links. */
  paths(end: End) {
    const all = [];
    for (let pageToken = ''; ;) {
      const answer = listPaths(this.#agents[end], { pageSize: 1000, pageToken });
      all.push(...(answer.paths ?? []).filter(({ liveness }) => liveness));
      pageToken = answer.nextPageToken ?? '';
      if (pageToken === '') return all;
    }
  }

  senders(): readonly SenderProcess[] {
    return ENDS.flatMap((end) => SenderProcess.findAll(mapsOf(end)));
  }

  async close(): Promise<void> {
    for (const end of ENDS) {
      this.#histories[end].close();
      await this.#agents[end].close();
    }
    this.wires.close();
    this.#undo();
  }
}
