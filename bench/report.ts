/*
 * What a benchmark says: rows of one figure each, beside the alternative's measured in the same run. As a table for
 * people, as JSON for machines. `ratio` is above 1 where we are better, whatever the unit.
 */
import { writeFileSync } from 'node:fs';
import Table from 'cli-table3';
import { distribution, type Distribution } from './distribution.js';

export interface Row {
  bench: string;
  case: string;
  unit: string;
  value: number;
  /** The alternative. */
  peer?: string;
  peerValue?: number;
  ratio?: number;
  instructionsPerPacket?: number;
  /** Where the value is a median of single events, all of which matter. */
  spread?: Distribution;
}

/** Units in which less is better. */
const lessIsBetter = new Set(['%', 'ns', 'µs', 'ms', 's', 'MiB', 'KiB', 'packets', 'times']);

/** A row with its ratio. */
export function row(fields: Omit<Row, 'ratio'>): Row {
  const { value, peerValue, unit } = fields;
  if (peerValue === undefined || value <= 0 || peerValue <= 0) return fields;
  return { ...fields, ratio: round(lessIsBetter.has(unit) ? peerValue / value : value / peerValue) };
}

/** The median, with its spread. */
export function spreadRow(fields: Omit<Row, 'ratio' | 'value' | 'spread'>, values: readonly number[]): Row {
  const { count, ...figures } = distribution(values);
  const [min, middle, p95, max] = [figures.min, figures.median, figures.p95, figures.max].map(round);
  if (min === undefined || middle === undefined || p95 === undefined || max === undefined)
    throw new Error('no figures');
  return { ...row({ ...fields, value: middle }), spread: { count, min, median: middle, p95, max } };
}

export function round(value: number): number {
  return Number(value.toPrecision(3));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}

/** As they are measured: all of them take minutes. */
export function tell(rows: readonly Row[]): readonly Row[] {
  for (const { case: name, value, unit, spread } of rows) {
    const more = spread ? ` (${spread.min} / ${spread.p95} / ${spread.max}, of ${spread.count})` : '';
    process.stderr.write(`  ${name}: ${value} ${unit}${more}\n`);
  }
  return rows;
}

export function print(rows: readonly Row[]): void {
  const table = new Table({
    head: [
      'bench',
      'case',
      'value',
      'min / 95 % / max (of)',
      'unit',
      'beside',
      'its value',
      'ratio',
      'instr/packet',
    ],
    style: { head: [], border: [], compact: true },
    colAligns: ['left', 'left', 'right', 'right', 'left', 'left', 'right', 'right', 'right'],
  });
  const text = (value: number | undefined): string => (value === undefined ? '' : String(value));
  for (const r of rows) {
    table.push([
      r.bench,
      r.case,
      String(r.value),
      r.spread ? `${r.spread.min} / ${r.spread.p95} / ${r.spread.max} (${r.spread.count})` : '',
      r.unit,
      r.peer ?? '',
      text(r.peerValue),
      text(r.ratio),
      text(r.instructionsPerPacket),
    ]);
  }
  process.stdout.write(`${table.toString()}\n`);
}

export function writeJson(path: string, rows: readonly Row[]): void {
  writeFileSync(path, `${JSON.stringify(rows, null, 2)}\n`);
}
