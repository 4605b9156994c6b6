/**
 * `cabernet.connectivity.v1` by short names: the services, their enums, and their messages as received. What one sends is a
 * `Draft`; wherever a draft is asked for, a message as received will do.
 */
import { cabernet } from '../../gen/cabernet.js';
import { type Draft, type Message, messageType, serviceType } from './message.js';

/** The generated namespace, for its enums and for `messageType`. */
export const v1 = cabernet.connectivity.v1;
export const ConnectivityService = serviceType(v1.ConnectivityService);
export const resourceType = messageType(v1.Resource);

export type Resource = Message<cabernet.connectivity.v1.Resource>;
export type ResourceDraft = Draft<cabernet.connectivity.v1.Resource>;
export type Supplier = Message<cabernet.connectivity.v1.Supplier>;
export type Node = Message<cabernet.connectivity.v1.Node>;
export type Link = Message<cabernet.connectivity.v1.Link>;
export type Customer = Message<cabernet.connectivity.v1.Customer>;
export type Tariff = Message<cabernet.connectivity.v1.Tariff>;
export type Offer = Message<cabernet.connectivity.v1.Offer>;
export type ServiceNetwork = Message<cabernet.connectivity.v1.ServiceNetwork>;
export type ServiceNode = Message<cabernet.connectivity.v1.ServiceNode>;
export type StationPort = Message<cabernet.connectivity.v1.StationPort>;
export type ServiceLink = Message<cabernet.connectivity.v1.ServiceLink>;
export type UpdateRequest = Message<cabernet.connectivity.v1.UpdateRequest>;
export type ApplyRequest = Message<cabernet.connectivity.v1.ApplyRequest>;
export type ApplyBegin = Message<cabernet.connectivity.v1.ApplyBegin>;
export type ApplyResponse = Message<cabernet.connectivity.v1.ApplyResponse>;
