/** A message as indented lines, with units, and times told from now. What has its default is left out. */
import { type Field, type MessageSchema } from '../../api/schema.js';
import { type ResourceStatus, type Slo, type Term } from '../../api/types.js';
import { bandwidth, delay, fromNow, percent, perHour, price, slo, span, word } from '../units.js';
import { type Body } from './layer.js';
import { printable } from './show.js';

type Plain = Readonly<Record<string, unknown>>;

/** Fields whose names say a unit: what they are called without it, and how they are written. */
const UNITS: Readonly<Record<string, readonly [string, (value: never, around: Plain) => string]>> = {
  bitsPerSecond: ['bandwidth', (value: bigint) => bandwidth(value)],
  soldAToB: ['sold a to b', (value: bigint) => bandwidth(value)],
  soldBToA: ['sold b to a', (value: bigint) => bandwidth(value)],
  soldOut: ['sold outward', (value: bigint) => bandwidth(value)],
  soldIn: ['sold inward', (value: bigint) => bandwidth(value)],
  detectionUs: ['detection', (value: number) => delay(value)],
  delayUs: ['delay', (value: number) => delay(value)],
  lossPpm: ['loss', (value: number) => percent(value)],
  availabilityPpm: ['availability', (value: number) => percent(value)],
  cpuMillis: ['processor', (value: number) => percent(value * 1000)],
  backupPermille: ['backup', (value: number) => percent(value * 1000)],
  termSeconds: ['term', (value: number) => span(value)],
  graceSeconds: ['grace', (value: number) => span(value)],
  longestTermSeconds: ['longest term', (value: number) => span(value)],
  nodeMicros: ['node', money],
  cpuMilliMicros: ['thousandth of a processor', money],
  linkMicros: ['link', money],
  mbitWireMicros: ['Mbit/s on a wire', money],
  mbitLinkMicros: ['Mbit/s on a link', money],
  holdUntil: ['held until', (value: string) => time(value)],
  startTime: ['start', (value: string) => time(value)],
  expireTime: ['end', (value: string) => time(value)],
};

function money(value: bigint, around: Plain): string {
  const { currency } = around;
  return perHour(value, typeof currency === 'string' ? currency : '');
}

function time(value: string): string {
  const from = fromNow(value);
  return from === '' ? value : `${value} (${from})`;
}

export function describeBody(schema: MessageSchema, body: Body): readonly string[] {
  const lines = [
    printable(body.name),
    ...fieldsOf(schema, body as unknown as Plain, '  ', ['name', 'status']),
  ];
  return [...lines, ...statusLines(body.status)];
}

function statusLines(status: ResourceStatus | undefined): readonly string[] {
  if (!status) return [];
  const { generation, observedGeneration, reconciling } = status;
  const forced = observedGeneration === 0n ? 'nothing yet' : `generation ${observedGeneration}`;
  const asked = `generation ${generation}`;
  const facts: readonly (readonly [string, string])[] = [
    ['state', status.state],
    ['why', status.message],
    ['in force', reconciling ? `${forced}; ${asked} is being made so` : `what was asked for, ${asked}`],
    ['created', time(status.createTime)],
    ['changed', time(status.updateTime)],
    ['etag', status.etag],
  ];
  return [
    '  status',
    ...facts.filter(([, text]) => text !== '').map(([label, text]) => pair('    ', label, text)),
  ];
}

const pair = (indent: string, label: string, text: string): string =>
  `${indent}${`${label}:`.padEnd(Math.max(2, 26 - indent.length))} ${printable(text)}`;

function fieldsOf(
  schema: MessageSchema,
  message: Plain,
  indent: string,
  without: readonly string[],
): string[] {
  return schema.fields
    .filter(({ name }) => !without.includes(name))
    .flatMap((field) => fieldLines(field, message[field.name], message, indent));
}

function fieldLines(field: Field, value: unknown, around: Plain, indent: string): readonly string[] {
  const label = UNITS[field.name]?.[0] ?? words(field.name);
  if (Array.isArray(value)) return listLines(field, label, value as readonly unknown[], around, indent);
  if (value === undefined || isDefault(value)) return [];
  if (field.type.kind !== 'message') return [pair(indent, label, scalar(field, value, around))];
  const line = oneLine(field.type.message.name, value);
  if (line !== undefined) return [pair(indent, label, line)];
  const inside = fieldsOf(field.type.message, value as Plain, `${indent}  `, []);
  return inside.length === 0 ? [] : [`${indent}${label}`, ...inside];
}

function listLines(
  field: Field,
  label: string,
  items: readonly unknown[],
  around: Plain,
  indent: string,
): readonly string[] {
  if (items.length === 0) return [];
  const { type } = field;
  if (type.kind !== 'message')
    return [pair(indent, label, items.map((item) => scalar(field, item, around)).join(', '))];
  const blocks = items.flatMap((item) => {
    const inside = fieldsOf(type.message, item as Plain, `${indent}    `, []);
    return inside.map((line, i) => (i === 0 ? `${indent}  - ${line.slice(indent.length + 4)}` : line));
  });
  return [`${indent}${label}`, ...blocks];
}

function scalar(field: Field, value: unknown, around: Plain): string {
  const written = UNITS[field.name]?.[1];
  if (written) return written(value as never, around);
  const { type } = field;
  if (type.kind === 'bool') return value === true ? 'yes' : 'no';
  if (type.kind === 'bytes') return Buffer.from(value as Uint8Array).toString('hex');
  if (type.kind !== 'enum') return String(value);
  const name = type.enumeration.names.get(value as number) ?? String(value);
  return word(name, enumPrefix([...type.enumeration.numbers.keys()]));
}

/** `LINK_KIND_` of all its members. */
function enumPrefix(names: readonly string[]): string {
  const [first = ''] = names;
  let prefix = first;
  for (const name of names) while (!name.startsWith(prefix)) prefix = prefix.slice(0, -1);
  return prefix.slice(0, prefix.lastIndexOf('_') + 1);
}

function oneLine(message: string, value: unknown): string | undefined {
  switch (message) {
    case 'cabernet.types.v1.Price':
      return price(value as Parameters<typeof price>[0]);
    case 'cabernet.types.v1.Slo':
      return slo(value as Slo);
    case 'cabernet.types.v1.Term': {
      const { startTime, expireTime, graceSeconds } = value as Term;
      const parts = [
        startTime === '' ? '' : `from ${time(startTime)}`,
        expireTime === '' ? '' : `to ${time(expireTime)}`,
        graceSeconds === 0 ? '' : `then ${span(graceSeconds)} of grace`,
      ];
      return parts.filter((part) => part !== '').join(', ');
    }
    default:
      return undefined;
  }
}

function isDefault(value: unknown): boolean {
  return value === '' || value === 0 || value === 0n || value === false;
}

/** `virtualNode` as `virtual node`. */
function words(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
