/** What a service provider has. */
import { cabernet } from '../../../../gen/cabernet.js';
import type { Link, Network, NextHop, Node, Route, Station } from '../../../api/service.js';
import { percent, price, slo, span, word } from '../../units.js';
import { column, count, kind, last, lease, list, type ResourceKind, right, wide } from './kind.js';

const { RouteSource, RouteType } = cabernet.node.v1;

const hop = ({ vif, gateway, weight }: NextHop): string =>
  `${gateway === '' ? '' : `${gateway} `}${vif}${weight > 1 ? ` weight ${weight}` : ''}`;

export const serviceKinds: readonly ResourceKind[] = [
  kind<Network>('network', 'network', [
    column('SUPPLIER', ({ supplier }) => supplier),
    column('VN', ({ vn }) => vn),
    column('ROUTES BY', ({ routeSource }) =>
      word(RouteSource[routeSource || RouteSource.ROUTE_SOURCE_CONTROLLER] ?? '', 'ROUTE_SOURCE_'),
    ),
    right('PRICE', (body) => price(body.price)),
    column('LEASE', (body) => lease(body.lease)),
    wide('TERM', ({ termSeconds }) => span(termSeconds || 86_400)),
    wide('LINK POOLS', ({ linkPools }) => list(linkPools)),
    wide('SUPPLIER AT', ({ supplierAddress }) => supplierAddress),
  ]),
  kind<Node>('node', 'nodes', [
    column('OFFER', ({ offer }) => last(offer)),
    right('CPU', ({ share }) => (share && share.cpuMillis > 0 ? percent(share.cpuMillis * 1000) : '')),
  ]),
  kind<Link>('link', 'links', [
    column('A', ({ a }) => last(a)),
    column('B', ({ b }) => last(b)),
    column('PROMISE', (body) => slo(body.slo)),
    wide('ACHIEVED', ({ achieved }) => slo(achieved)),
    right('METRIC', ({ metric }) => String(metric || 1)),
    column('VIA', ({ via }) => list(via.map(last))),
    right('PRICE', (body) => price(body.price)),
    wide('MTU', ({ mtu }) => count(mtu)),
    wide('ADDRESSES', ({ addressesA, addressesB }) => list([...addressesA, ...addressesB])),
  ]),
  kind<Station>('station', 'stations', [
    column('NODE', ({ node }) => last(node)),
    column('PORT', ({ port }) => port),
    column('ADDRESSES', ({ addresses }) => list(addresses)),
    wide('MTU', ({ mtu }) => count(mtu)),
  ]),
  kind<Route>('route', 'nodes/+/routes', [
    column('DESTINATION', ({ destination }) => destination),
    column('NEXT HOPS', ({ nextHops, type }) =>
      nextHops.length > 0 ? nextHops.map(hop).join(', ') : word(RouteType[type] ?? '', 'ROUTE_TYPE_'),
    ),
    column('ANNOUNCED', ({ announce }) => (announce ? 'yes' : 'no')),
  ]),
];
