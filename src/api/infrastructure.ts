/**
 * `cabernet.infrastructure.v1` by short names: the services, their enums, and their messages as received. What one sends is a
 * `Draft`; wherever a draft is asked for, a message as received will do.
 */
import { cabernet } from '../../gen/cabernet.js';
import { type Draft, type Message, messageType, serviceType } from './message.js';

/** The generated namespace, for its enums and for `messageType`. */
export const v1 = cabernet.infrastructure.v1;
export const InfrastructureService = serviceType(v1.InfrastructureService);
export const PathService = serviceType(v1.PathService);
export const resourceType = messageType(v1.Resource);

export type Resource = Message<cabernet.infrastructure.v1.Resource>;
export type ResourceDraft = Draft<cabernet.infrastructure.v1.Resource>;
export type Machine = Message<cabernet.infrastructure.v1.Machine>;
export type MachineState = Message<cabernet.infrastructure.v1.MachineState>;
export type WireEnd = Message<cabernet.infrastructure.v1.WireEnd>;
export type Wire = Message<cabernet.infrastructure.v1.Wire>;
export type Peering = Message<cabernet.infrastructure.v1.Peering>;
export type Customer = Message<cabernet.infrastructure.v1.Customer>;
export type Tariff = Message<cabernet.infrastructure.v1.Tariff>;
export type Offer = Message<cabernet.infrastructure.v1.Offer>;
export type VirtualNode = Message<cabernet.infrastructure.v1.VirtualNode>;
export type LinkEnd = Message<cabernet.infrastructure.v1.LinkEnd>;
export type VirtualLink = Message<cabernet.infrastructure.v1.VirtualLink>;
export type Reservation = Message<cabernet.infrastructure.v1.Reservation>;
export type Label = Message<cabernet.infrastructure.v1.Label>;
export type Segment = Message<cabernet.infrastructure.v1.Segment>;
export type ReserveRequest = Message<cabernet.infrastructure.v1.ReserveRequest>;
export type ReserveResponse = Message<cabernet.infrastructure.v1.ReserveResponse>;
export type CommitRequest = Message<cabernet.infrastructure.v1.CommitRequest>;
export type CommitResponse = Message<cabernet.infrastructure.v1.CommitResponse>;
export type CancelRequest = Message<cabernet.infrastructure.v1.CancelRequest>;
export type RenewRequest = Message<cabernet.infrastructure.v1.RenewRequest>;
export type RenewResponse = Message<cabernet.infrastructure.v1.RenewResponse>;
export type ApplyRequest = Message<cabernet.infrastructure.v1.ApplyRequest>;
export type ApplyBegin = Message<cabernet.infrastructure.v1.ApplyBegin>;
export type ApplyResponse = Message<cabernet.infrastructure.v1.ApplyResponse>;
export type ComputeTreeRequest = Message<cabernet.infrastructure.v1.ComputeTreeRequest>;
export type ComputeTreeResponse = Message<cabernet.infrastructure.v1.ComputeTreeResponse>;
export type EntryPoint = Message<cabernet.infrastructure.v1.EntryPoint>;
export type ReserveSegmentRequest = Message<cabernet.infrastructure.v1.ReserveSegmentRequest>;
export type ReserveSegmentResponse = Message<cabernet.infrastructure.v1.ReserveSegmentResponse>;
export type CommitSegmentRequest = Message<cabernet.infrastructure.v1.CommitSegmentRequest>;
export type ReleaseSegmentRequest = Message<cabernet.infrastructure.v1.ReleaseSegmentRequest>;
