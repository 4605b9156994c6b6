/**
 * The messages of `cabernet.node.v1` that say what an owner wants, under short names. A message as received is a
 * draft too.
 */
import { type cabernet } from '../../gen/cabernet.js';
import { type Draft } from '../api/message.js';

export type ApplyBegin = Draft<cabernet.node.v1.ApplyBegin>;
export type ApplyResources = Draft<cabernet.node.v1.ApplyResources>;
export type ApplyCommit = Draft<cabernet.node.v1.ApplyCommit>;
export type Resource = Draft<cabernet.node.v1.Resource>;
export type VirtualNode = Draft<cabernet.node.v1.VirtualNode>;
export type Limits = Draft<cabernet.node.v1.Limits>;
export type Tunnel = Draft<cabernet.node.v1.Tunnel>;
export type Wire = Draft<cabernet.node.v1.Wire>;
export type Bypass = Draft<cabernet.node.v1.Bypass>;
export type BfdPeer = Draft<cabernet.node.v1.BfdPeer>;
export type Vif = Draft<cabernet.node.v1.Vif>;
export type Rate = Draft<cabernet.node.v1.Rate>;
export type LinkEnd = Draft<cabernet.node.v1.LinkEnd>;
export type Path = Draft<cabernet.node.v1.Path>;
export type Liveness = Draft<cabernet.node.v1.Liveness>;
export type Measurement = Draft<cabernet.node.v1.Measurement>;
export type Label = Draft<cabernet.node.v1.Label>;
export type Address = Draft<cabernet.node.v1.Address>;
export type Route = Draft<cabernet.node.v1.Route>;
export type NextHop = Draft<cabernet.node.v1.NextHop>;
