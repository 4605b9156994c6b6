/** An error as its reader sees it: one plain sentence, then what is known besides. Bugs, and only they, show a stack. */

import { printable, printableLines } from './printable.js';

interface Told {
  readonly name: string;
  readonly message: string;
  readonly detail?: unknown;
  readonly reason?: unknown;
  readonly operation?: unknown;
  readonly field?: unknown;
}

/** Errors that are meant for the person at the terminal. */
const PLAIN: ReadonlySet<string> = new Set([
  'WorldError',
  'ManifestError',
  'ApiError',
  'StartError',
  'MetricsAddressError',
  'ControllerStartError',
  'StoreError',
  'DataPlaneError',
  'BpfError',
  'IdentityError',
  'UsageError',
  'CommandError',
  'ResourceError',
]);

/** A command that was given what it cannot use. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** A command that cannot do what it was asked for. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** Nothing in it moves a terminal's cursor, whoever wrote it. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return printable(String(error));
  if (!PLAIN.has(error.name)) return printableLines(error.stack ?? error.message);
  const { message, detail, reason, operation, field } = error as Told;
  const ofServer = error.name === 'ApiError';
  const facts = ofServer
    ? [operation, field, reason].filter((fact) => fact !== undefined && fact !== '')
    : [];
  const shown = ofServer ? printable(message) : printableLines(message);
  const lines = [facts.length > 0 ? `${shown} (${printable(facts.join(', '))})` : shown];
  if (typeof detail === 'string' && detail !== '')
    lines.push(...detail.split('\n').map((line) => `  ${printable(line)}`));
  return lines.join('\n');
}

/** Prints it and makes the exit status 2 for wrong usage, 1 for anything else. */
export async function report(error: unknown): Promise<void> {
  process.exitCode = error instanceof UsageError ? 2 : 1;
  const text = `cabernet: ${describeError(error)}\n`;
  await new Promise<void>((resolve) => process.stderr.write(text, () => resolve()));
}
