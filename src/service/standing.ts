/** What is written into the resources' status and output fields: how far what was asked for is in force. */
import { sloType, types, type Price, type ResourceStatus, type Slo } from '../api/types.js';
import { type ServiceLink, type ServiceNetwork } from '../api/connectivity.js';
import { type Applier } from './applier.js';
import { keyOf } from './admit.js';
import { askAgain, compose, partsOf } from './compose.js';
import { type Deal, type Phase } from './deal.js';
import { isUp } from './layout.js';
import { type Bodies, idOf, type KindName, NETWORK, type ServiceState, type View } from './model.js';
import { nodeOfRoute } from './kinds.js';
import { type Tables } from './tables.js';

interface Word {
  readonly state: string;
  readonly message: string;
  /** What was asked for is in force. */
  readonly settled: boolean;
}

/** Of the deal, as it is now. */
interface DealNow {
  readonly phase: Phase;
  readonly message: string;
  /** The resource that was named. */
  readonly refused: string | undefined;
}

const READY: Word = { state: 'ready', message: '', settled: true };
/** Resources changed in one commit. */
const PORTION = 500;

export class Standing {
  readonly #state: ServiceState;
  readonly #self: string;
  readonly #deal: Deal;
  readonly #applier: Applier;
  readonly #tables: Tables;
  #parts: { readonly of: ServiceNetwork; readonly parts: ReadonlyMap<string, string> } | undefined;

  constructor(state: ServiceState, self: string, deal: Deal, applier: Applier, tables: Tables) {
    this.#state = state;
    this.#self = self;
    this.#deal = deal;
    this.#applier = applier;
    this.#tables = tables;
  }

  /** Writes what is another than it was. `isStale`: something has changed since the nodes' contents were computed. */
  async write(isStale: () => boolean): Promise<void> {
    const names = this.#changes(this.#state).map(([, body]) => body.name);
    for (let i = 0; i < names.length; i += PORTION) {
      const portion = new Set(names.slice(i, i + PORTION));
      await this.#state.transact((tx) => {
        // nothing is called ready that has not been looked at; there will be another turn
        if (isStale()) return;
        for (const [kind, body] of this.#changes(tx)) if (portion.has(body.name)) tx.put(kind, body);
      });
    }
  }

  #changes(view: View): [KindName, Bodies[KindName]][] {
    const { granted, record } = this.#deal;
    // each of these looks at all that is wanted: once
    const deal: DealNow = {
      phase: this.#deal.phase,
      message: this.#deal.message,
      refused: record?.refusal?.resource,
    };
    const wanted = compose(view, this.#self);
    const [now, then] = [wanted && partsOf(wanted), this.#grantedParts(granted)];
    const links = new Map(granted?.links.map((link) => [`links/${link.name}`, link]));
    const isGranted = (name: string): boolean =>
      then?.has(name) === true && now?.get(name) === then.get(name);
    const changes: [KindName, Bodies[KindName]][] = [];
    const put = <K extends KindName>(kind: K, before: Bodies[K], after: Bodies[K]): void => {
      if (!isSaid(before, after)) changes.push([kind, after]);
    };
    for (const network of view.all('network')) {
      const status = settled(network.status, this.#ofNetwork(view, deal));
      const lease = granted?.lease ?? types.LeaseState.LEASE_STATE_UNSPECIFIED;
      put('network', network, { ...without(network, 'price'), ...priced(granted?.price), lease, status });
    }
    for (const node of view.all('node')) {
      const word = this.#granted(node.name, isGranted, deal) ?? this.#ofNode(idOf(node.name)) ?? READY;
      put('node', node, { ...node, status: settled(node.status, word) });
    }
    for (const link of view.all('link')) {
      const given = links.get(link.name);
      const ends = [idOf(link.a), idOf(link.b)];
      const word =
        this.#granted(link.name, isGranted, deal) ?? down(given) ?? this.#ofEnds(ends, link.status);
      const said = { ...priced(given?.price), ...(given?.achieved && { achieved: sloOf(given.achieved) }) };
      put('link', link, {
        ...without(link, 'price', 'achieved'),
        ...said,
        status: settled(link.status, word),
      });
    }
    for (const station of view.all('station')) {
      const word =
        this.#granted(station.name, isGranted, deal) ?? this.#ofEnds([idOf(station.node)], station.status);
      put('station', station, { ...station, status: settled(station.status, word) });
    }
    for (const route of view.all('route'))
      put('route', route, { ...route, status: settled(route.status, this.#ofRoute(route)) });
    return changes;
  }

  /** Thousands of turns come with the same grant. */
  #grantedParts(granted: ServiceNetwork | undefined): ReadonlyMap<string, string> | undefined {
    if (this.#parts?.of !== granted)
      this.#parts = granted && { of: granted, parts: partsOf(askAgain(granted)) };
    return this.#parts?.parts;
  }

  #ofNetwork(view: View, { phase, message }: DealNow): Word {
    const { granted } = this.#deal;
    if (phase === 'unreachable') return { state: 'unreachable', message, settled: false };
    if (phase === 'refused') return { state: 'refused', message, settled: false };
    if (phase === 'asking') return pending('The connectivity provider is being asked.');
    if (phase === 'idle')
      return {
        state: 'ready',
        message: view.get('network', NETWORK) ? 'It has no nodes yet.' : '',
        settled: true,
      };
    const said = granted?.status;
    if (said?.state === 'refused') return { state: 'refused', message: said.message, settled: false };
    if (said?.reconciling === true)
      return pending(said.message === '' ? 'The connectivity provider is making it.' : said.message);
    const late = this.#applier.nodes().find((node) => !this.#applier.isCurrent(node));
    if (late === undefined) return READY;
    return pending(this.#applier.problemOf(late)?.message ?? `${late} is being told.`);
  }

  /** Undefined: it is in force at the supplier. */
  #granted(name: string, isGranted: (name: string) => boolean, deal: DealNow): Word | undefined {
    const { phase, message, refused } = deal;
    if (phase === 'refused' && refused === name) return { state: 'refused', message, settled: false };
    return isGranted(name) ? undefined : pending('It is not in force at the connectivity provider.');
  }

  #ofNode(node: string): Word | undefined {
    const problem = this.#applier.problemOf(node);
    if (!problem) return undefined;
    return { state: problem.refused ? 'refused' : 'unreachable', message: problem.message, settled: false };
  }

  /** Once in force, a node that is told something else does not change that. */
  #ofEnds(nodes: readonly string[], status: ResourceStatus | undefined): Word {
    if (status && status.observedGeneration === status.generation) return READY;
    const late = nodes.find((node) => !this.#applier.isCurrent(node));
    return late === undefined
      ? READY
      : pending(this.#applier.problemOf(late)?.message ?? `${late} is being told.`);
  }

  #ofRoute({ name, destination, status }: Bodies['route']): Word {
    const node = idOf(nodeOfRoute(name));
    const contents = this.#tables.of(node);
    if (!contents) return pending(`${node} is not in force at the connectivity provider.`);
    if (contents.holds(keyOf(destination))) return this.#ofEnds([node], status);
    return { state: 'unused', message: contents.whyNot(keyOf(destination)), settled: true };
  }
}

interface Said {
  readonly status?: ResourceStatus | undefined;
  readonly price?: Price | undefined;
  readonly achieved?: Slo | undefined;
  readonly lease?: number;
}

/** Whether a resource says already all that is written into it here. */
function isSaid(before: Said, after: Said): boolean {
  return (
    (before.lease ?? 0) === (after.lease ?? 0) &&
    sameFields(before.status, after.status) &&
    sameFields(before.price, after.price) &&
    sameFields(before.achieved, after.achieved)
  );
}

function sameFields<T extends object>(a: T | undefined, b: T | undefined): boolean {
  if (!a || !b) return a === b;
  return (Object.keys(b) as (keyof T)[]).every((field) => a[field] === b[field]);
}

function pending(message: string): Word {
  return { state: 'pending', message, settled: false };
}

function down(link: ServiceLink | undefined): Word | undefined {
  if (!link || isUp(link)) return undefined;
  return { state: link.state, message: link.message, settled: true };
}

function settled(before: ResourceStatus | undefined, word: Word): ResourceStatus {
  const generation = before?.generation ?? 1n;
  return {
    etag: '',
    createTime: '',
    updateTime: '',
    ...before,
    generation,
    observedGeneration: word.settled ? generation : (before?.observedGeneration ?? 0n),
    reconciling: !word.settled,
    state: word.state,
    message: word.message,
  };
}

function priced(price: Price | undefined): { readonly price?: Price } {
  return price ? { price } : {};
}

function sloOf(slo: Slo): Slo {
  return sloType.complete(slo);
}

function without<B extends object, K extends keyof B>(body: B, ...fields: readonly K[]): B {
  return Object.fromEntries(Object.entries(body).filter(([field]) => !fields.includes(field as K))) as B;
}
