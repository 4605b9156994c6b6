/** What differs between two states of a resource, field by field, in a reader's words. */
import { type JsonValue } from '../../api/manifest.js';
import { price } from '../units.js';
import { type AnyResource, bodyOf, type Layer } from './layer.js';
import { printable, resourceJson } from './show.js';

const MOST = 20;

/** `site: "a" → "b"`; without what the controller says of its state. */
export function differences(
  layer: Layer,
  before: AnyResource | undefined,
  after: AnyResource,
): readonly string[] {
  const [old, fresh] = [flat(layer, before), flat(layer, after)];
  const lines: string[] = [];
  for (const path of new Set([...old.keys(), ...fresh.keys()])) {
    const [from, to] = [old.get(path), fresh.get(path)];
    if (from === to) continue;
    if (before === undefined) lines.push(`${path}: ${to ?? ''}`);
    else lines.push(`${path}: ${from ?? 'nothing'} → ${to ?? 'nothing'}`);
  }
  const shown = lines.slice(0, MOST);
  if (shown.length < lines.length) shown.push(`and ${lines.length - shown.length} more`);
  return shown.map(printable);
}

function flat(layer: Layer, resource: AnyResource | undefined): ReadonlyMap<string, string> {
  const leaves = new Map<string, string>();
  if (resource?.kind === undefined) return leaves;
  const body = resourceJson(layer, resource)[resource.kind];
  if (body === undefined || !isObject(body)) return leaves;
  for (const [key, value] of Object.entries(body))
    if (key !== 'status' && key !== 'name' && key !== 'price') walk(value, key, leaves);
  return leaves;
}

function walk(value: JsonValue, path: string, leaves: Map<string, string>): void {
  if (Array.isArray(value)) for (const [i, item] of value.entries()) walk(item, `${path}[${i}]`, leaves);
  else if (isObject(value))
    for (const [key, item] of Object.entries(value)) walk(item, `${path}.${key}`, leaves);
  else leaves.set(path, JSON.stringify(value));
}

function isObject(value: JsonValue): value is Record<string, JsonValue> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

interface Priced {
  readonly price?: Parameters<typeof price>[0];
}

/** What it costs, and what it did; undefined where it has no price. */
export function priceChange(before: AnyResource | undefined, after: AnyResource): string | undefined {
  const [from, to] = [before, after].map((one) => price((bodyOf(one) as Priced).price));
  if (to === undefined || to === '') return undefined;
  return printable(from === '' || from === to || from === undefined ? to : `${from} → ${to}`);
}

export function priceOf(
  resource: AnyResource,
): { readonly micros: bigint; readonly currency: string } | undefined {
  const { price: value } = bodyOf(resource) as Priced;
  return value && { micros: value.microsPerHour, currency: value.currency };
}
