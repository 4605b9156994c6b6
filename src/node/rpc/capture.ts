/** Capture */
import { type cabernet } from '../../../gen/cabernet.js';
import { type Draft, type Message } from '../../api/message.js';
import { type CapturedFrame, type CaptureFilter, type Subscription } from '../../dataplane/index.js';
import { type Agent } from '../agent.js';
import { invalid, missing } from '../refusal.js';
import { wallClock } from '../watch.js';
import { interfaceName, reasonName } from './drops.js';

type Request = Message<cabernet.node.v1.CaptureRequest>;
type Response = Draft<cabernet.node.v1.CaptureResponse>;
type Packet = Draft<cabernet.node.v1.CapturedPacket>;

const MAX_SNAP_LENGTH = 1514;
/** Frames that a reader may be behind. */
const QUEUE = 4096;
/** Frames of one message. */
const BATCH = 256;

function filtersOf(agent: Agent, request: Request): CaptureFilter[] {
  switch (request.point) {
    case 'vif': {
      const vif = agent.vifs.get(request.vif);
      if (!vif) throw missing('VIF_NOT_FOUND', 'vif', `there is no ${request.vif} on this machine`);
      return [{ vif: vif.id }];
    }
    case 'node': {
      const node = agent.nodes.get(request.node);
      if (!node) throw missing('NODE_NOT_FOUND', 'node', `there is no ${request.node} on this machine`);
      return [...agent.vifs.all]
        .filter((vif) => vif.intent.node === node.name)
        .map((vif) => ({ vif: vif.id }));
    }
    case 'interface': {
      for (const { name, index } of agent.interfaces.all()) {
        if (name === request.interface && index !== undefined) return [{ ifindex: index }];
      }
      throw missing(
        'INTERFACE_NOT_FOUND',
        'interface',
        `${request.interface} is neither an underlay interface nor a vif's port on this machine`,
      );
    }
    default:
      throw invalid('POINT_MISSING', 'point', 'a node, a vif or an interface');
  }
}

/** Frames between the data plane and one reader: what it is too slow for is counted. */
class Frames {
  #packets: Packet[] = [];
  #lost = 0;
  #wake: (() => void) | undefined;

  push(packet: Packet): void {
    if (this.#packets.length >= QUEUE) this.#lost++;
    else this.#packets.push(packet);
    this.wake();
  }

  wake(): void {
    this.#wake?.();
  }

  async take(ended: () => boolean): Promise<{ packets: Packet[]; lost: number } | undefined> {
    while (this.#packets.length === 0 && !ended()) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
    if (ended()) return undefined;
    const packets = this.#packets.splice(0, BATCH);
    const lost = this.#lost;
    this.#lost = 0;
    return { packets, lost };
  }
}

function packetOf(agent: Agent, frame: CapturedFrame, snap: number): Packet {
  return {
    timeNs: wallClock(frame.time),
    point: agent.vifs.byId(frame.vif)?.name ?? interfaceName(agent, frame.ifindex),
    direction: frame.kind,
    reason: frame.kind === 'drop' ? reasonName(frame.reason) : '',
    length: frame.length,
    // a copy: the memory is the ring's
    frame: Buffer.from(frame.frame.subarray(0, snap)),
  };
}

export async function* capture(
  agent: Agent,
  request: Request,
  signal: AbortSignal,
): AsyncGenerator<Response, void> {
  if (request.snapLength > MAX_SNAP_LENGTH) {
    throw invalid('SNAP_LENGTH', 'snap_length', `${request.snapLength}: at most ${MAX_SNAP_LENGTH}`);
  }
  const snap = request.snapLength || MAX_SNAP_LENGTH;
  const frames = new Frames();
  const filters = filtersOf(agent, request);
  const subscriptions: Subscription[] = [];
  const wake = (): void => frames.wake();
  signal.addEventListener('abort', wake);
  let lost = 0;
  try {
    for (const filter of filters) {
      const take = (captured: readonly CapturedFrame[]): void => {
        for (const frame of captured) frames.push(packetOf(agent, frame, snap));
      };
      subscriptions.push(agent.plane.captures.subscribe(filter, take));
    }
    const [first] = subscriptions;
    let before = first?.lost ?? 0;
    for (;;) {
      const taken = await frames.take(() => signal.aborted);
      if (!taken) return;
      const now = first?.lost ?? 0;
      lost = taken.lost + now - before;
      before = now;
      yield { packets: taken.packets, lost: BigInt(lost) };
    }
  } finally {
    signal.removeEventListener('abort', wake);
    for (const subscription of subscriptions) subscription.stop();
  }
}
