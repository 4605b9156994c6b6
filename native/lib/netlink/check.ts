// Checks of what callers give, before it becomes bytes: ERR_ARGUMENT names the field
// and what would be right.
import { closeSync, openSync } from 'node:fs';
import { argumentError, BpfError } from '../error.js';
import { describeErrno } from './native.js';

export function integer(value: unknown, operation: string, name: string, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    throw argumentError(operation, name, `an integer between ${min} and ${max}, not ${String(value)}`);
  }
  return value;
}

export function u32(value: unknown, operation: string, name: string): number {
  return integer(value, operation, name, 0, 0xffffffff);
}

export function interfaceIndex(value: unknown, operation: string, name = 'index'): number {
  return integer(value, operation, name, 1, 0x7fffffff);
}

export function interfaceName(value: unknown, operation: string, name = 'name'): string {
  if (typeof value !== 'string' || !/^[^/:\s\0]{1,15}$/u.test(value) || Buffer.byteLength(value) > 15) {
    throw argumentError(operation, name, `an interface name of 1 to 15 bytes, not ${JSON.stringify(value)}`);
  }
  return value;
}

export function oneOf<Name extends string>(
  names: Readonly<Record<Name, number>>,
  value: unknown,
  operation: string,
  name: string,
): number {
  const wanted: ReadonlyMap<unknown, unknown> = new Map(Object.entries(names));
  const number = wanted.get(value);
  if (typeof number !== 'number') {
    throw argumentError(operation, name, `one of ${[...wanted.keys()].join(', ')}, not ${String(value)}`);
  }
  return number;
}

/** Whether it is an array, believing its declared type about the elements. */
export function isArray(value: unknown): boolean {
  return Array.isArray(value);
}

/** The name of a number in a table of names. */
export function nameOf<Name extends string>(
  names: Readonly<Record<Name, number>>,
): (number: number) => Name | undefined {
  const inverse = new Map<number, Name>();
  for (const name of Object.keys(names) as Name[]) inverse.set(names[name], name);
  return (number) => inverse.get(number);
}

/** Descriptors a request refers to; they must stay open while the kernel works on it, even past `close()`. */
export class Descriptors {
  readonly #open: number[] = [];

  /** A network namespace by its path, or by a descriptor of the caller's. */
  namespace(netns: string | number, operation: string, name: string): number {
    if (typeof netns === 'number') return integer(netns, operation, name, 0, 0x7fffffff);
    if (typeof netns !== 'string' || netns === '' || netns.includes('\0')) {
      throw argumentError(operation, name, 'the path of a network namespace, or a descriptor');
    }
    try {
      const fd = openSync(netns, 'r');
      this.#open.push(fd);
      return fd;
    } catch (error) {
      const { errno } = error as NodeJS.ErrnoException;
      if (errno === undefined) throw error;
      const { code, detail } = describeErrno(-errno);
      throw new BpfError({ code, operation, subject: netns, detail, errno: -errno });
    }
  }

  close(): void {
    for (const fd of this.#open.splice(0)) closeSync(fd);
  }
}
