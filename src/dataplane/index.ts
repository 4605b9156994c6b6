/**
 * The data plane as the rest of the program sees it: tables, programs, counters and records of one machine.
 */
export { DataPlane, type PortSetting, type TableUse } from './plane.js';
export { type OpenOptions } from './assemble.js';
export { type Capacities } from './capacities.js';
export { DataPlaneError, type DataPlaneErrorCode } from './errors.js';
export { type IdTable, type Records } from './tables.js';
export { type RecordTable } from './records.js';
export {
  contextOf,
  contextOwner,
  tunnelContext,
  vifContext,
  wireContext,
  type Carrier,
  type Label,
  type LabelKey,
  type LabelTable,
  type PlacedLabel,
  type LabelVerb,
} from './labels.js';
export { type Commit, type Route, type RouteTable, type RouteTransaction } from './routes.js';
export { type RoutePrefix } from './trie.js';
export {
  type Direction,
  HIGHEST_BITS_PER_SECOND,
  HIGHEST_PACKETS_PER_SECOND,
  largestBurst,
  LONGEST_BURST_SECONDS,
  LOWEST_BITS_PER_SECOND,
  type MeterTable,
  type Rate,
} from './meters.js';
export { type PeerPlace, type PeerTable, type PeerTiming } from './peers.js';
export {
  NOT_MEASURED,
  type Session,
  type SessionEvent,
  type SessionStatus,
  type SessionTable,
} from './sessions.js';
export { type MergeCount, type MergeTable } from './merges.js';
export { NAME_BYTES, type NamedTable, type NameTable } from './names.js';
export { type Counters, type DropCount, type PathCount, type PuntCount, type VifCount } from './counters.js';
export {
  type CapturedFrame,
  type CaptureFilter,
  type Captures,
  type DropSample,
  type Samples,
  type Subscription,
} from './captures.js';
export { type Attachment, type ProgramKind } from './programs.js';
export { type TraceEvent, type TraceRequest, type TraceResult } from './trace.js';
export { type TunnelEnd, type TunnelEnds } from './tunnel-ends.js';
export { type WireEnd, type WireEnds } from './wire-ends.js';
export { dropReasons, puntKinds, traceKinds, type PuntText, type ReasonText } from '../../gen/reasons.js';
export {
  BfdDiagnostic,
  BfdState,
  LabelAction,
  Limit,
  LinkKind,
  NextHopKind,
  PortRole,
  TraceKind,
  WireKind,
} from '../../gen/layout.js';
