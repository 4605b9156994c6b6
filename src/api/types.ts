/** `cabernet.types.v1` by short names: what the APIs of the controllers have in common. */
import { cabernet } from '../../gen/cabernet.js';
import { type Message, messageType } from './message.js';

/** The generated namespace, for its enums. */
export const types = cabernet.types.v1;
export const statusType = messageType(types.Status);
export const sloType = messageType(types.Slo);

export type ResourceStatus = Message<cabernet.types.v1.Status>;
export type Slo = Message<cabernet.types.v1.Slo>;
export type Price = Message<cabernet.types.v1.Price>;
export type Report = Message<cabernet.types.v1.Report>;
export type Slot = Message<cabernet.types.v1.ReportSlot>;
export type Violation = Message<cabernet.types.v1.Violation>;
export type Term = Message<cabernet.types.v1.Term>;
export type NodeShare = Message<cabernet.types.v1.NodeShare>;
export type EventType = cabernet.types.v1.EventType;
export type LeaseState = cabernet.types.v1.LeaseState;
export type LinkProtection = cabernet.types.v1.LinkProtection;
