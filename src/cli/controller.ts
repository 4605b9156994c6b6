/** What the controllers' commands have in common: their options, checked. */
import { type ControllerOptions as ProcessOptions } from '../controller/process.js';
import type { ControllerFlags } from './flags.js';
import { UsageError } from './report.js';

export type ControllerOptions = Omit<ProcessOptions, 'role'>;

export function controllerOptions(flags: ControllerFlags): ControllerOptions {
  const { name, socket, state, listen, credentials, metrics, logLevel } = flags;
  if (listen !== undefined && credentials === undefined)
    throw new UsageError('--listen wants --credentials: over TCP everybody has a certificate');
  return {
    name,
    socket,
    state,
    logLevel,
    ...(credentials !== undefined && { remote: { listen, credentials } }),
    ...(metrics !== undefined && { metrics }),
  };
}
