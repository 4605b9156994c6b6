/**
 * `cabernet.node.v1` by short names: the service, its enums, and its messages as received. What one sends is a
 * `Draft`; wherever a draft is asked for, a message as received will do.
 */
import { cabernet } from '../../gen/cabernet.js';
import { type Draft, type Message, serviceType } from './message.js';

/** The generated namespace, for its enums and for `messageType(v1.Vif)`. */
export const v1 = cabernet.node.v1;
export const NodeService = serviceType(v1.NodeService);

export type ApplyRequest = Message<cabernet.node.v1.ApplyRequest>;
export type ApplyRequestDraft = Draft<cabernet.node.v1.ApplyRequest>;
export type ApplyResponse = Message<cabernet.node.v1.ApplyResponse>;
export type Resource = Message<cabernet.node.v1.Resource>;
export type ResourceDraft = Draft<cabernet.node.v1.Resource>;
export type VirtualNode = Message<cabernet.node.v1.VirtualNode>;
export type Tunnel = Message<cabernet.node.v1.Tunnel>;
export type Wire = Message<cabernet.node.v1.Wire>;
export type Vif = Message<cabernet.node.v1.Vif>;
export type Path = Message<cabernet.node.v1.Path>;
export type Label = Message<cabernet.node.v1.Label>;
export type Address = Message<cabernet.node.v1.Address>;
export type Route = Message<cabernet.node.v1.Route>;
export type NextHop = Message<cabernet.node.v1.NextHop>;
