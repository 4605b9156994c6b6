/** The messages that a world is made of, under short names. Types only: they cost no start-up time. */
import type { cabernet } from '../../gen/cabernet.js';
import type { Draft, Message } from '../api/message.js';

export type WorldMessage = Message<cabernet.world.v1.World>;
export type MachineMessage = Message<cabernet.world.v1.Machine>;
export type WireMessage = Message<cabernet.world.v1.Wire>;
export type NetworkMessage = Message<cabernet.world.v1.Network>;
export type LinkMessage = Message<cabernet.world.v1.Link>;
export type StationMessage = Message<cabernet.world.v1.Station>;

export type Resource = Draft<cabernet.node.v1.Resource>;
export type Label = Draft<cabernet.node.v1.Label>;
export type Path = Draft<cabernet.node.v1.Path>;
export type NextHop = Draft<cabernet.node.v1.NextHop>;
export type RouteSource = cabernet.node.v1.RouteSource;
