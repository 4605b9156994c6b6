/** Delay, loss and availability of a path: sums, and products as sums of logarithms. Pure. */
import { type Constraint } from '../../graph/index.js';
import { type Demand, type Supply } from './supply.js';

const MILLION = 1_000_000;

export function lossLog(ppm: number): number {
  return ppm >= MILLION ? Infinity : -Math.log1p(-ppm / MILLION);
}

/** Of a million parts of time; 0 promises nothing. */
export function availabilityLog(ppm: number): number {
  return ppm <= 0 ? Infinity : -Math.log(ppm / MILLION);
}

export function lossOf(log: number): number {
  return -Math.expm1(-log) * MILLION;
}

export function availabilityOf(log: number): number {
  return Math.exp(-log);
}

/** Delay and loss, as far as the demand bounds them. */
export function boundsOf(supply: Supply, demand: Demand): Constraint[] {
  const bounds: Constraint[] = [];
  if (demand.delayUs > 0) {
    bounds.push({
      name: 'delay_us',
      values: supply.perArc((edge) => supply.link(edge).delayUs),
      bound: demand.delayUs,
    });
  }
  if (demand.lossPpm > 0) {
    bounds.push({
      name: 'loss_ppm',
      values: supply.perArc((edge) => lossLog(supply.link(edge).lossPpm)),
      bound: lossLog(demand.lossPpm),
    });
  }
  return bounds;
}

/** `least`: of 1. */
export function availabilityBound(supply: Supply, least: number): Constraint {
  return {
    name: 'availability_ppm',
    values: supply.perArc((edge) => availabilityLog(supply.link(edge).availabilityPpm)),
    bound: least <= 0 ? Number.MAX_VALUE : Math.max(0, -Math.log(least)),
  };
}

/** What a path keeps to. Availability 0: none is promised of some link. */
export interface Kept {
  readonly delayUs: number;
  readonly lossPpm: number;
  readonly availabilityPpm: number;
}

export function keptBy(supply: Supply, edges: readonly number[]): Kept {
  const links = edges.map((edge) => supply.link(edge));
  const sum = (value: (link: (typeof links)[number]) => number): number =>
    links.reduce((total, link) => total + value(link), 0);
  return {
    delayUs: sum(({ delayUs }) => delayUs),
    // rounded to the side of caution
    lossPpm: Math.min(MILLION, Math.ceil(lossOf(sum(({ lossPpm }) => lossLog(lossPpm))) - 1e-6)),
    availabilityPpm: Math.floor(
      availabilityOf(sum(({ availabilityPpm }) => availabilityLog(availabilityPpm))) * MILLION + 1e-6,
    ),
  };
}

/** Of a path with a backup that shares nothing with it. */
export function pairAvailability(first: number, second: number): number {
  return 1 - (1 - first) * (1 - second);
}
