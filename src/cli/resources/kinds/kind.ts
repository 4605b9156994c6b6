/** A kind of resource, as the command line knows it: how it is called, and its table. */
import { type ResourceStatus } from '../../../api/types.js';
import { type Body } from '../../../resources/api.js';
import { fromNow, leaseState } from '../../units.js';

export { type Body } from '../../../resources/api.js';

export interface ResourceColumn {
  readonly title: string;
  readonly cell: (body: Body) => string;
  readonly align?: 'right' | undefined;
  /** Only with `-o wide`. */
  readonly wide?: boolean | undefined;
  /** Left out where every row is empty. */
  readonly sparse?: boolean | undefined;
}

export interface ResourceKind {
  /** Member of the API's oneof: `virtualNode`. */
  readonly kind: string;
  /** `customers/+/virtualNodes`, `+` for one id; a single one: its name. */
  readonly collection: string;
  readonly columns: readonly ResourceColumn[];
}

type ColumnOf<B> = Omit<ResourceColumn, 'cell'> & { readonly cell: (body: B) => string };

/** B: the kind's message. Its name comes first; state, why, and age last. */
export function kind<B extends Body>(
  name: string,
  collection: string,
  columns: readonly ColumnOf<B>[],
): ResourceKind {
  return {
    kind: name,
    collection,
    columns: [
      { title: 'NAME', cell: ({ name }) => name },
      // cells are only given bodies of their own kind
      ...(columns as readonly unknown[] as readonly ResourceColumn[]),
      { title: 'STATE', cell: ({ status }) => stateOf(status) },
      { title: 'CHANGED', wide: true, cell: ({ status }) => fromNow(status?.updateTime ?? '') },
      { title: 'WHY', sparse: true, cell: ({ status }) => status?.message ?? '' },
    ],
  };
}

export function stateOf(status: ResourceStatus | undefined): string {
  if (!status) return '';
  const state = status.state === '' ? 'unknown' : status.state;
  return status.reconciling && state !== 'pending' ? `${state}, changing` : state;
}

export function column<B>(title: string, cell: (body: B) => string): ColumnOf<B> {
  return { title, cell };
}

export function right<B>(title: string, cell: (body: B) => string): ColumnOf<B> {
  return { title, cell, align: 'right' };
}

export function wide<B>(title: string, cell: (body: B) => string): ColumnOf<B> {
  return { title, cell, wide: true };
}

/** A column that is there while something is. */
export function drained<B>(title: string, is: (body: B) => boolean): ColumnOf<B> {
  return { title, cell: (body) => (is(body) ? 'yes' : ''), sparse: true };
}

/** Of what is leased: its state, and when it ends. */
export const lease = (state: number): string => leaseState(state);

export const list = (items: readonly string[]): string => items.join(' ');

/** 0 is what nobody said. */
export const count = (value: number | bigint): string => (value > 0 ? String(value) : '');

/** The last id: `P` of `nodes/P`. */
export const last = (name: string): string => name.slice(name.lastIndexOf('/') + 1);
