/**
 * Ways to another provider (RFC 5441): neighbours are asked for theirs from each peering on, recursively, and the
 * cheapest within the bounds is taken. Nothing of anybody's inside is told: entry points, sums and prices.
 */
import { ApiError, failedPrecondition, Status, unavailable } from '../api/errors.js';
import { type ComputeTreeRequest, type EntryPoint, PathService } from '../api/infrastructure.js';
import { type Price, type Slo } from '../api/types.js';
import { type Dialer } from '../controller/dial.js';
import { achievedBy, bandwidthRefusal, boundRefusal, mtuRefusal } from './carry.js';
import { type Bodies, type View } from './kinds.js';
import { Ledger } from './ledger.js';
import { linkPrice, sum, tariffOf } from './price.js';
import { along, NOWHERE, Routing, type Sums, sumsOf, type Way } from './routing.js';

type Peering = Bodies['peering'];

const MILLION = 1_000_000;
export const NO_BOUNDS: Slo = { bitsPerSecond: 0n, delayUs: 0, lossPpm: 0, availabilityPpm: 0 };
/** Milliseconds for one neighbour's answer: it asks its own. */
const PATIENCE = 20_000;

export interface Target {
  readonly customer: string;
  readonly provider: string;
  readonly virtualNode: string;
  readonly bounds: Slo;
  readonly mtu: number;
  /** Providers that the request is not to come back to, this one among them. */
  readonly passed: readonly string[];
}

/** One way on from a machine of ours. */
export interface Onward {
  readonly peering: Peering;
  /** To the peering. */
  readonly way: Way;
  /** From the machine to the end. */
  readonly sums: Sums;
  readonly price: Price;
  readonly providers: readonly string[];
}

/** What neighbours say of their ways to a target. */
export interface Neighbourhood {
  /** By peering: where they come in, and what it takes from there on. */
  readonly entries: ReadonlyMap<string, EntryPoint>;
  /** Some did not answer: there may be other ways. */
  readonly silent: boolean;
}

export const NOBODY: Neighbourhood = { entries: new Map(), silent: false };

export function sumsOfSlo(slo: Slo | undefined): Sums {
  return {
    delayUs: slo?.delayUs ?? 0,
    lossLog: -Math.log1p(-Math.min(slo?.lossPpm ?? 0, MILLION) / MILLION),
    downLog: -Math.log(Math.min(slo?.availabilityPpm || MILLION, MILLION) / MILLION),
    mtu: Infinity,
    hops: 0,
  };
}

export async function askNeighbours(
  view: View,
  dialer: Dialer,
  target: Target,
  signal: AbortSignal,
): Promise<Neighbourhood> {
  const neighbours = new Map<string, Peering>();
  for (const peering of view.all('peering'))
    if (!target.passed.includes(peering.provider) && !peering.drain)
      neighbours.set(peering.provider, peering);
  let silent = false;
  const answers = await Promise.all(
    [...neighbours.values()].map(async (peering): Promise<readonly EntryPoint[]> => {
      const client = dialer.dial(PathService, peering.controller, {
        role: 'infrastructure',
        name: peering.provider,
      });
      try {
        const { entryPoints } = await client.computeTree(target, { signal, deadlineMs: PATIENCE });
        // of peerings with us only: what it says of others is none of its business
        return entryPoints.filter(
          (entry) => view.get('peering', entry.peering)?.provider === peering.provider,
        );
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof ApiError)) throw error;
        silent ||= error.status === Status.UNAVAILABLE || error.status === Status.DEADLINE_EXCEEDED;
        return [];
      } finally {
        client.close();
      }
    }),
  );
  return { entries: new Map(answers.flat().map((entry) => [entry.peering, entry])), silent };
}

/**
 * The cheapest way from a machine of ours on.
 * @throws ApiError NO_PATH, NO_CAPACITY, MTU_TOO_BIG: why there is none; NEIGHBOUR_SILENT: nobody can say that now
 */
export function chooseOnward(
  view: View,
  from: string,
  target: Target,
  { entries, silent }: Neighbourhood,
  field: string,
  ledger = new Ledger(view),
): Onward {
  const routing = new Routing(view);
  const tariff = tariffOf(view);
  const bits = target.bounds.bitsPerSecond;
  let refusal: ApiError | undefined;
  const ways: Onward[] = [];
  for (const [name, entry] of entries) {
    const peering = view.get('peering', name);
    const way = peering?.end && !peering.drain && routing.way(from, peering.end.machine);
    if (!peering || !way) continue;
    // what is priced otherwise cannot be compared
    if (entry.price && entry.price.microsPerHour > 0n && entry.price.currency !== tariff.currency) continue;
    const sums = along(along(way, sumsOf(peering)), sumsOfSlo(entry.achieved));
    const why =
      mtuRefusal(target.mtu, sums, `${field}.mtu`) ??
      boundRefusal(target.bounds, sums, `The way by ${name}`, `${field}.slo`) ??
      bandwidthRefusal(view, ledger, [...way.wires, name], bits, `${field}.slo.bits_per_second`);
    refusal ??= why;
    if (why) continue;
    const price = sum([linkPrice(tariff, bits, way.hops + 1), entry.price], tariff.currency);
    ways.push({ peering, way, sums, price, providers: entry.providers });
  }
  const best = ways.toSorted((a, b) =>
    a.price.microsPerHour === b.price.microsPerHour
      ? a.sums.delayUs - b.sums.delayUs
      : a.price.microsPerHour < b.price.microsPerHour
        ? -1
        : 1,
  )[0];
  if (best) return best;
  if (silent)
    throw unavailable({
      reason: 'NEIGHBOUR_SILENT',
      field,
      message: `No way to ${target.virtualNode.slice(0, 120)} at ${target.provider} is known now, for a provider on the way does not answer; ask again later.`,
    });
  throw (
    refusal ??
    failedPrecondition({
      reason: 'NO_PATH',
      field,
      message: `No peering leads to ${target.virtualNode.slice(0, 120)} at ${target.provider} within what is asked for.`,
    })
  );
}

/** From the caller's peerings to a node here. */
export function entriesHere(
  view: View,
  provider: string,
  peerings: readonly Peering[],
  machine: string,
  request: ComputeTreeRequest,
): EntryPoint[] {
  const routing = new Routing(view);
  const ledger = new Ledger(view);
  const tariff = tariffOf(view);
  const bits = request.bounds?.bitsPerSecond ?? 0n;
  return peerings.flatMap((peering): EntryPoint[] => {
    const way = peering.end && !peering.drain && routing.way(peering.end.machine, machine);
    if (!way) return [];
    const seen = along(way, { ...NOWHERE, mtu: sumsOf(peering).mtu });
    const refusal =
      mtuRefusal(request.mtu, seen, 'mtu') ??
      boundRefusal(request.bounds, way, '', 'bounds') ??
      bandwidthRefusal(view, ledger, [...way.wires, peering.name], bits, 'bounds');
    if (refusal) return [];
    return [
      {
        peering: peering.name,
        achieved: achievedBy(way, bits),
        price: linkPrice(tariff, bits, way.hops),
        providers: [provider],
      },
    ];
  });
}

/** What is left of the bounds behind these sums. A bound that is used up stays a bound: zero would be none. */
export function leftOf(bounds: Slo, used: Sums): Slo {
  const loss = 1 - (1 - bounds.lossPpm / MILLION) / Math.exp(-used.lossLog);
  const available = bounds.availabilityPpm / Math.exp(-used.downLog);
  return {
    bitsPerSecond: bounds.bitsPerSecond,
    delayUs: bounds.delayUs === 0 ? 0 : Math.max(1, bounds.delayUs - used.delayUs),
    lossPpm: bounds.lossPpm === 0 ? 0 : Math.max(1, Math.floor(loss * MILLION + 1e-6)),
    availabilityPpm: Math.min(MILLION, Math.ceil(available - 1e-6)),
  };
}
