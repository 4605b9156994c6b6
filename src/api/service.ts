/**
 * `cabernet.service.v1` by short names: the services, their enums, and their messages as received. What one sends is a
 * `Draft`; wherever a draft is asked for, a message as received will do.
 */
import { cabernet } from '../../gen/cabernet.js';
import { type Draft, type Message, messageType, serviceType } from './message.js';

/** The generated namespace, for its enums and for `messageType`. */
export const v1 = cabernet.service.v1;
export const ServiceNetworkService = serviceType(v1.ServiceNetworkService);
export const resourceType = messageType(v1.Resource);

export type Resource = Message<cabernet.service.v1.Resource>;
export type ResourceDraft = Draft<cabernet.service.v1.Resource>;
export type Network = Message<cabernet.service.v1.Network>;
export type Node = Message<cabernet.service.v1.Node>;
export type Link = Message<cabernet.service.v1.Link>;
export type Station = Message<cabernet.service.v1.Station>;
export type Route = Message<cabernet.service.v1.Route>;
export type NextHop = Message<cabernet.service.v1.NextHop>;
export type ListRoutesRequest = Message<cabernet.service.v1.ListRoutesRequest>;
export type ListRoutesResponse = Message<cabernet.service.v1.ListRoutesResponse>;
export type ComputedRoute = Message<cabernet.service.v1.ComputedRoute>;
export type SetRoutesRequest = Message<cabernet.service.v1.SetRoutesRequest>;
export type SetRoutesBegin = Message<cabernet.service.v1.SetRoutesBegin>;
export type RouteBatch = Message<cabernet.service.v1.RouteBatch>;
export type SetRoutesCommit = Message<cabernet.service.v1.SetRoutesCommit>;
export type SetRoutesResponse = Message<cabernet.service.v1.SetRoutesResponse>;
