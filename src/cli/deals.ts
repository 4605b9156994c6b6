/** Who bought what from whom in a world, as its connectivity providers' controllers say. */
import { type Price } from '../api/types.js';
import { type AnyResource, bodyOf } from '../resources/api.js';
import { listResources } from '../resources/lists.js';
import { controllerClient } from '../world/controllers.js';
import { worldDirectory, type WorldState } from '../world/index.js';
import { formatTable, type Row } from './output.js';
import { perHour } from './units.js';

/** Of nodes, links and service networks, as far as they are read here. */
interface Bought {
  readonly name: string;
  readonly supplier?: string;
  readonly a?: string;
  readonly price?: Price;
}

interface ServiceNetwork extends Bought {
  readonly nodes: readonly { readonly name: string }[];
  readonly links: readonly { readonly name: string; readonly path: readonly string[] }[];
}

const bodies = <T>(resources: readonly AnyResource[]): readonly T[] =>
  resources.map((one) => bodyOf(one) as unknown as T);
const last = (name: string): string => name.slice(name.lastIndexOf('/') + 1);

const COLUMNS = [
  { key: 'buyer', title: 'BUYER' },
  { key: 'seller', title: 'SELLER' },
  { key: 'what', title: 'WHAT' },
  { key: 'which', title: 'WHICH' },
  { key: 'price', title: 'PRICE', align: 'right' },
] as const;

export async function dealsOf(state: WorldState): Promise<string> {
  const directory = worldDirectory(state.plan.name);
  const rows: Row[] = [];
  for (const seat of state.seats.filter(({ layer }) => layer === 'connectivity')) {
    const client = controllerClient(directory, seat);
    try {
      const [nodes, links, networks] = await Promise.all([
        listResources(client, 'nodes').then((all) => bodies<Bought>(all)),
        listResources(client, 'links').then((all) => bodies<Bought>(all)),
        listResources(client, 'customers/-/serviceNetworks').then((all) => bodies<ServiceNetwork>(all)),
      ]);
      rows.push(...bought(seat.name, nodes, links), ...networks.flatMap((one) => sold(seat.name, one)));
    } finally {
      client.close();
    }
  }
  return formatTable(COLUMNS, rows);
}

/** From each infrastructure provider; a link is bought where its `a` is. */
function bought(buyer: string, nodes: readonly Bought[], links: readonly Bought[]): readonly Row[] {
  const supplierOf = new Map(nodes.map(({ name, supplier = '' }) => [name, last(supplier)]));
  const suppliers = [...new Set(supplierOf.values())].toSorted();
  return suppliers.flatMap((seller) => {
    const line = (what: string, own: readonly Bought[]): readonly Row[] =>
      own.length === 0
        ? []
        : [{ buyer, seller, what, which: own.map(({ name }) => last(name)).join(' '), price: total(own) }];
    return [
      ...line(
        'virtual nodes',
        nodes.filter(({ name }) => supplierOf.get(name) === seller),
      ),
      ...line(
        'virtual links',
        links.filter(({ a = '' }) => supplierOf.get(a) === seller),
      ),
    ];
  });
}

function sold(seller: string, network: ServiceNetwork): readonly Row[] {
  const [, buyer = ''] = network.name.split('/');
  const links = network.links.map(({ name, path }) =>
    path.length > 1 || path.some((one) => last(one) !== name)
      ? `${name} (over ${path.map(last).join(', ')})`
      : name,
  );
  const which = `nodes ${network.nodes.map(({ name }) => name).join(' ')}; links ${links.join(' ')}`;
  return [{ buyer, seller, what: 'service network', which, price: total([network]) }];
}

function total(things: readonly Bought[]): string {
  const sums = new Map<string, bigint>();
  for (const { price } of things)
    if (price) sums.set(price.currency, (sums.get(price.currency) ?? 0n) + price.microsPerHour);
  return [...sums].map(([currency, micros]) => perHour(micros, currency)).join(', ');
}
