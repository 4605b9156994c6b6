// Which addon handle stands behind which public object: the public classes find
// each other's handles here, and nobody outside can.
import type { NativeMap, NativeProgram } from './addon.js';
import { BpfError } from './error.js';

const maps = new WeakMap<object, NativeMap>();
const programs = new WeakMap<object, NativeProgram>();

export function registerMap(handle: object, native: NativeMap): void {
  maps.set(handle, native);
}

export function registerProgram(handle: object, native: NativeProgram): void {
  programs.set(handle, native);
}

/** The handle behind a BpfMap or BpfProgram, undefined for anything else. */
export function nativeHandle(value: unknown): NativeMap | NativeProgram | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  return maps.get(value) ?? programs.get(value);
}

/** The handle behind a BpfMap; `ERR_FOREIGN` for anything else. */
export function nativeMap(value: unknown, operation: string, name: string): NativeMap {
  const native = typeof value === 'object' && value !== null ? maps.get(value) : undefined;
  if (native === undefined) throw foreign(operation, name, 'a BpfMap');
  return native;
}

/** The handle behind a BpfProgram; `ERR_FOREIGN` for anything else. */
export function nativeProgram(value: unknown, operation: string, name: string): NativeProgram {
  const native = typeof value === 'object' && value !== null ? programs.get(value) : undefined;
  if (native === undefined) throw foreign(operation, name, 'a BpfProgram');
  return native;
}

function foreign(operation: string, name: string, wanted: string): BpfError {
  return new BpfError({ code: 'ERR_FOREIGN', operation, detail: `${name} must be ${wanted}` });
}
