/** What a connectivity provider has. */
import type {
  Customer,
  Link,
  Node,
  Offer,
  ServiceNetwork,
  Supplier,
  Tariff,
} from '../../../api/connectivity.js';
import { types } from '../../../api/types.js';
import { bandwidth, fromNow, perHour, percent, price, slo, span, word } from '../../units.js';
import { column, count, drained, kind, last, lease, list, type ResourceKind, right, wide } from './kind.js';

const share = (millis: number | undefined): string =>
  millis !== undefined && millis > 0 ? percent(millis * 1000) : '';
const limit = (value: number): string => (value > 0 ? String(value) : 'any');
const term = (seconds: number): string => span(seconds || 86_400);

export const connectivityKinds: readonly ResourceKind[] = [
  kind<Supplier>('supplier', 'suppliers', [column('ADDRESS', ({ address }) => address)]),
  kind<Node>('node', 'nodes', [
    column('SUPPLIER', ({ supplier }) => last(supplier)),
    column('OFFER', ({ offer }) => last(offer)),
    column('SITE', ({ site }) => site),
    right('CPU', (body) => share(body.share?.cpuMillis)),
    right('SOLD', ({ sold }) => share(sold?.cpuMillis)),
    column('PORTS', ({ ports }) => list(ports)),
    right('PRICE', (body) => price(body.price)),
    column('LEASE', (body) => lease(body.lease)),
    drained('DRAINED', ({ drain }) => drain),
    drained('MAINTENANCE', ({ maintenance }) => maintenance),
    wide('TERM', ({ termSeconds }) => term(termSeconds)),
  ]),
  kind<Link>('link', 'links', [
    column('A', ({ a }) => last(a)),
    column('B', ({ b }) => last(b)),
    column('KIND', (body) => word(types.LinkKind[body.kind] ?? '', 'LINK_KIND_')),
    column('PROMISE', (body) => slo(body.slo)),
    wide('ACHIEVED', ({ achieved }) => slo(achieved)),
    right('SOLD', ({ soldAToB, soldBToA }) =>
      soldAToB + soldBToA > 0n ? `${bandwidth(soldAToB)} / ${bandwidth(soldBToA)}` : '',
    ),
    right('PRICE', (body) => price(body.price)),
    column('LEASE', (body) => lease(body.lease)),
    drained('DRAINED', ({ drain }) => drain),
    drained('MAINTENANCE', ({ maintenance }) => maintenance),
    wide('TERM', ({ termSeconds }) => term(termSeconds)),
    wide('MTU', ({ mtu }) => count(mtu)),
    wide('RISKS', ({ riskGroups }) => list(riskGroups)),
  ]),
  kind<Customer>('customer', 'customers', [
    right('NODES', ({ virtualNodes }) => limit(virtualNodes)),
    right('LINKS', ({ virtualLinks }) => limit(virtualLinks)),
    right('BANDWIDTH', ({ bitsPerSecond }) => (bitsPerSecond > 0n ? bandwidth(bitsPerSecond) : 'any')),
  ]),
  kind<Tariff>('tariff', 'tariff', [
    right('NODE', ({ nodeMicros, currency }) => perHour(nodeMicros, currency)),
    right('CPU 0.1 %', ({ cpuMilliMicros, currency }) => perHour(cpuMilliMicros, currency)),
    right('LINK', ({ linkMicros, currency }) => perHour(linkMicros, currency)),
    right('MBIT/S ON A LINK', ({ mbitLinkMicros, currency }) => perHour(mbitLinkMicros, currency)),
    right('BACKUP', ({ backupPermille }) => percent(backupPermille * 1000)),
  ]),
  kind<Offer>('offer', 'offers', [
    column('SITE', ({ site }) => site),
    right('FREE CPU', ({ free }) => share(free?.cpuMillis)),
    column('PORTS', ({ ports }) => list(ports)),
    right('NODE', ({ nodePrice }) => price(nodePrice)),
  ]),
  kind<ServiceNetwork>('serviceNetwork', 'customers/+/serviceNetworks', [
    right('NODES', ({ nodes }) => String(nodes.length)),
    right('LINKS', ({ links }) => String(links.length)),
    right('GUARANTEED', ({ links }) => {
      const sum = links.reduce((sum, link) => sum + (link.slo?.bitsPerSecond ?? 0n), 0n);
      return sum > 0n ? bandwidth(sum) : 'best effort';
    }),
    right('PRICE', (body) => price(body.price)),
    column('LEASE', (body) => lease(body.lease)),
    column('ENDS', (body) => fromNow(body.term?.expireTime ?? '')),
    {
      ...column<ServiceNetwork>('DRAINED', ({ links }) =>
        list(links.filter(({ avoid }) => avoid.length > 0).map(({ name }) => name)),
      ),
      sparse: true,
    },
  ]),
];
