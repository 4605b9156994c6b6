/** An error as its reader sees it: one plain sentence, then what is known besides. Bugs, and only they, show a stack. */

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
]);

/** A command that was given what it cannot use. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!PLAIN.has(error.name)) return error.stack ?? error.message;
  const { message, detail, reason, operation, field } = error as Told;
  const facts =
    error.name === 'ApiError'
      ? [operation, field, reason].filter((fact) => fact !== undefined && fact !== '')
      : [];
  const lines = [facts.length > 0 ? `${message} (${facts.join(', ')})` : message];
  if (typeof detail === 'string' && detail !== '')
    lines.push(...detail.split('\n').map((line) => `  ${line}`));
  return lines.join('\n');
}

/** Prints it and makes the exit code 1. */
export async function report(error: unknown): Promise<void> {
  process.exitCode = 1;
  const text = `cabernet: ${describeError(error)}\n`;
  await new Promise<void>((resolve) => process.stderr.write(text, () => resolve()));
}
