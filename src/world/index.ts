/** The testbed, as its users see it: the command, tests and benchmarks. */
export { clientOf, logTail, type NodeClient } from './agents.js';
export { type Applied } from './business.js';
export { down } from './down.js';
export { suggestion, WorldError, type WorldErrorCode } from './errors.js';
export { commandIn } from './exec.js';
export { bpfFsMounted, requireRoot } from './host.js';
export { type Holdings, linksOf, type LinkView } from './links.js';
export { type LoadedWorld, loadWorld } from './load.js';
export { Naming } from './naming.js';
export { Agent, Agents, type Answers, type Said } from './observe.js';
export * from './place.js';
export type { MachinePlan, NetworkPlan, StationPlan, WirePlan, WorldPlan } from './layout.js';
export { isRunning, type ProcessId } from './processes.js';
export { knownWorlds, readState, type WorldState } from './state.js';
export {
  chooseWorld,
  findMachine,
  findTarget,
  type MachineTarget,
  nodeNameOf,
  type NodeTarget,
  portVifOf,
  type StationTarget,
  type Target,
} from './target.js';
export { trace, type TraceLeg, type TraceOptions } from './trace.js';
export { up, type UpOptions, type UpResult } from './up.js';
export { findWires, isWhole, setWire } from './wires.js';
export type * from './messages.js';
