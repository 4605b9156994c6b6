/** The messages that a world is made of, under short names. Types only: they cost no start-up time. */
import type { cabernet } from '../../gen/cabernet.js';
import type { Draft, Message } from '../api/message.js';

export type WorldMessage = Message<cabernet.world.v1.World>;
export type MachineMessage = Message<cabernet.world.v1.Machine>;
export type WireMessage = Message<cabernet.world.v1.Wire>;
export type ImpairmentMessage = Message<cabernet.world.v1.Impairment>;
export type NetworkMessage = Message<cabernet.world.v1.Network>;
export type LinkMessage = Message<cabernet.world.v1.Link>;
export type StationMessage = Message<cabernet.world.v1.Station>;

export type Resource = Draft<cabernet.node.v1.Resource>;
export type Label = Draft<cabernet.node.v1.Label>;
export type Path = Draft<cabernet.node.v1.Path>;
export type NextHop = Draft<cabernet.node.v1.NextHop>;
export type RouteSource = cabernet.node.v1.RouteSource;

export type MachineInfo = Message<cabernet.node.v1.GetMachineResponse>;
export type VirtualNodeState = Message<cabernet.node.v1.VirtualNodeState>;
export type VifState = Message<cabernet.node.v1.VifState>;
export type TunnelState = Message<cabernet.node.v1.TunnelState>;
export type BfdPeerState = Message<cabernet.node.v1.BfdPeerState>;
export type WireState = Message<cabernet.node.v1.WireState>;
export type PathState = Message<cabernet.node.v1.PathState>;
export type LabelState = Message<cabernet.node.v1.LabelState>;
export type RouteState = Message<cabernet.node.v1.RouteState>;
export type NeighbourState = Message<cabernet.node.v1.NeighbourState>;
export type Counters = Message<cabernet.node.v1.Counters>;
export type DropCount = Message<cabernet.node.v1.DropCount>;
export type TraceRequest = Draft<cabernet.node.v1.TraceRequest>;
export type TraceResponse = Message<cabernet.node.v1.TraceResponse>;
export type TraceStep = Message<cabernet.node.v1.TraceStep>;
export type CapturedPacket = Message<cabernet.node.v1.CapturedPacket>;
export type Finding = Message<cabernet.node.v1.Finding>;
