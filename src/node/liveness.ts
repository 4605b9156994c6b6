/** What a path's session says: in a word, and as the API tells it. */
import { BfdDiagnostic, BfdState, Limit, type SessionEvent } from '../dataplane/index.js';
import { type cabernet } from '../../gen/cabernet.js';
import { type Draft } from '../api/message.js';
import { type Agent } from './agent.js';
import { type LivePath } from './carriages.js';
import { type LiveVif } from './vifs.js';

/** In the word of a session: its state, and why. */
function stateOf(word: number): number {
  return word & 0xff;
}

function diagnosticOf(word: number): string {
  const number = word >>> 8;
  if (number === 0) return '';
  const name = Object.entries(BfdDiagnostic).find(([, value]) => value === number)?.[0];
  return name?.replace('BFD_', '') ?? `diagnostic ${number}`;
}

/** Why the session says that its path is down; empty: it does not. */
export function sessionProblem(agent: Agent, { session, intent }: LivePath): string {
  if (session === 0 || intent.liveness?.adminDown) return '';
  const { word } = agent.plane.sessions.status(session).state;
  if (stateOf(word) === BfdState.BFD_UP) return '';
  const why = diagnosticOf(word);
  return why === '' ? 'no liveness' : `no liveness: ${why}`;
}

/** Its state, as people read it. */
export function sessionWord(agent: Agent, session: number): string {
  const { word } = agent.plane.sessions.status(session).state;
  return ['admin down', 'down', 'init', 'up'][stateOf(word)] ?? 'down';
}

/** A session's change, for a log. `lost`: the path was left for it. */
export function sessionFacts({ before, after }: SessionEvent): {
  from: string;
  to: string;
  why: string;
  lost: boolean;
} {
  const name = (word: number): string => STATE_NAMES[stateOf(word)] ?? String(stateOf(word));
  const lost = stateOf(before) === BfdState.BFD_UP && stateOf(after) === BfdState.BFD_DOWN;
  return { from: name(before), to: name(after), why: diagnosticOf(after), lost };
}

const STATE_NAMES = ['AdminDown', 'Down', 'Init', 'Up'];

/** Whether what leaves by the vif takes this path now. */
export function isInUse(agent: Agent, vif: LiveVif, index: number): boolean {
  const paths = agent.carriages.of(vif.id);
  if (paths[index]?.path === 0) return false;
  const { flags } = agent.plane.vifs.read(vif.id);
  if ((flags & Limit.LIMIT_VIF_LINK) === 0) return index === 0;
  const { state, avoid } = agent.plane.links.read(vif.id);
  const slot = paths[index]?.slot ?? 0;
  if (vif.intent.protection === 'both') return true;
  const used = state >>> Limit.LIMIT_LINK_USED_SHIFT;
  if (vif.intent.protection !== 'weighted') return used === slot;
  const unfit = state | avoid;
  const bad = unfit | (state >>> Limit.LIMIT_LINK_DEGRADED_SHIFT);
  // as link_path() of bpf/protection.h chooses
  return used === slot || ((((bad >>> used) & 1) === 1 ? unfit : bad) & (1 << slot)) === 0;
}

/** What became of the copies that have arrived for a link; undefined: none ever did. */
export function mergeState(agent: Agent, vif: LiveVif): Draft<cabernet.node.v1.MergeState> | undefined {
  if (vif.intent.paths.length < 2) return undefined;
  const count = agent.plane.merges.count(vif.id);
  return count.merged === 0n && count.resets === 0n ? undefined : count;
}

export function livenessState(
  agent: Agent,
  session: number,
): Draft<cabernet.node.v1.LivenessState> | undefined {
  if (session === 0) return undefined;
  const { discriminator, heard, state, sent, detection } = agent.plane.sessions.status(session);
  return {
    // the API's numbers are RFC 5880's, and one more
    state: stateOf(state.word) + 1,
    diagnostic: diagnosticOf(state.word),
    remoteState: heard.discriminator === 0 ? 0 : stateOf(heard.state) + 1,
    remoteDiagnostic: diagnosticOf(heard.state),
    discriminator,
    remoteDiscriminator: heard.discriminator,
    intervalUs: sent.interval,
    detectionUs: BigInt(detection),
    sinceNs: state.since,
    failures: state.failures,
    failedNs: state.leftUp,
    lastHeardNs: state.lastHeard,
    receivedPackets: heard.packets,
    sentPackets: sent.packets,
    refusedPackets: BigInt(heard.refused),
  };
}
