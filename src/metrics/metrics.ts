/**
 * What a process tells Prometheus: calls of its API, itself, and whatever it adds. Values that live elsewhere (in the
 * kernel's maps, in a state) are read when they are asked for, and cost nothing meanwhile.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** One finished call of the API. */
export interface FinishedCall {
  readonly service: string;
  readonly method: string;
  /** `OK`, `NOT_FOUND` … */
  readonly status: string;
  readonly seconds: number;
}

export interface Sample<L extends string> {
  readonly labels: Readonly<Record<L, string>>;
  readonly value: number;
}

export interface Source<L extends string> {
  /** Without the prefix `cabernet_`; a counter's ends in `_total`. */
  readonly name: string;
  /** A sentence; with the unit. */
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  readonly labels: readonly L[];
  readonly read: () => Iterable<Sample<L>> | Promise<Iterable<Sample<L>>>;
}

const PREFIX = 'cabernet_';

export class Metrics {
  readonly #registry = new Registry();
  readonly #calls: Histogram<'service' | 'method' | 'status'>;

  constructor(process: Readonly<Record<string, string>>) {
    this.#registry.setDefaultLabels(process);
    collectDefaultMetrics({ register: this.#registry });
    this.#calls = new Histogram({
      name: `${PREFIX}api_call_seconds`,
      help: 'Calls of the API by their outcome, and how long they took, seconds.',
      labelNames: ['service', 'method', 'status'],
      buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30],
      registers: [this.#registry],
    });
  }

  /** For servers: told of every finished call. */
  readonly observe = ({ service, method, status, seconds }: FinishedCall): void => {
    this.#calls.observe({ service, method, status }, seconds);
  };

  add<L extends string>(source: Source<L>): void {
    const options = {
      name: PREFIX + source.name,
      help: source.help,
      labelNames: source.labels,
      registers: [],
    };
    this.#registry.registerMetric(
      source.type === 'gauge' ? gauge(options, source) : counter(options, source),
    );
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The text exposition format 0.0.4. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }
}

interface Options<L extends string> {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly L[];
  readonly registers: Registry[];
}

function gauge<L extends string>(options: Options<L>, source: Source<L>): Gauge<L> {
  return new Gauge({
    ...options,
    async collect() {
      const samples = await source.read();
      this.reset();
      for (const { labels, value } of samples) this.set(labels, value);
    },
  });
}

/** Kept elsewhere, so there are no increments here: it is set anew for every answer. */
function counter<L extends string>(options: Options<L>, source: Source<L>): Counter<L> {
  return new Counter({
    ...options,
    async collect() {
      const samples = await source.read();
      this.reset();
      for (const { labels, value } of samples) this.inc(labels, value);
    },
  });
}
