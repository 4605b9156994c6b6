/*
 * What the tests with machines share: the kernel they are for, and the skip with its reason where it can't be had.
 */
import { findKernel, type Kernel } from '../../lab/kernels.js';

// Guests end with the process that booted them; that is one of the test runner's, which does not end with the runner.
process.once('disconnect', () => process.exit(1));

const name = process.env['CABERNET_KERNEL'] ?? '6.1';
const found = findKernel(name);

export const kernel: Kernel | undefined = 'missing' in found ? undefined : found;

/** Of a suite: `describe.skipIf(missing)(titled('objects'), …)`. */
export const missing: string | undefined = 'missing' in found ? found.missing : undefined;

export function titled(what: string): string {
  return missing === undefined ? `Linux ${name}: ${what}` : `SKIP ${what}: ${missing}`;
}

/** In a suite that is not skipped. */
export function needed(): Kernel {
  if (kernel === undefined) throw new Error(missing);
  return kernel;
}
