/**
 * The log: one line an event, `time level component message key=value …`, so that grep and people can read it. Nothing
 * that is logged can forge a line: control characters are escaped wherever they come from.
 */

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Values after the message. Undefined ones are left out; an Error shows its message, and its code if it has one. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same log, for another component and with fields on every line. */
  child(component: string, fields?: LogFields): Logger;
}

export interface LoggerOptions {
  readonly component: string;
  /** The least level written. Default: `info`. */
  readonly level?: LogLevel | undefined;
  /** Where a line goes, without its newline. Default: stderr. */
  readonly write?: ((line: string) => void) | undefined;
  readonly now?: (() => Date) | undefined;
}

/** Undefined for anything but a level's name. */
export function parseLogLevel(text: string): LogLevel | undefined {
  return LOG_LEVELS.find((level) => level === text);
}

// C0, DEL, C1, line and paragraph separators, direction overrides, halves of surrogate pairs: whatever can move the cursor,
// end a line or reorder one.
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff]|\p{Surrogate}/gu;
const BARE = /^[^\s"=\\]+$/;
const LONGEST_VALUE = 4000;

function escaped(text: string): string {
  const cut = text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}…` : text;
  return cut.replace(UNSAFE, (c) =>
    c === '\n' ? '\\n' : c === '\t' ? '\\t' : `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function quoted(text: string): string {
  const safe = escaped(text.replace(/[\\"]/g, '\\$&'));
  return BARE.test(text) && safe === text ? text : `"${safe}"`;
}

function valueText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value instanceof Error) {
    const code = 'code' in value && typeof value.code === 'string' ? `${value.code}: ` : '';
    return `${code}${value.message}`;
  }
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (typeof value === 'object' && value !== null) {
    try {
      return JSON.stringify(value, (_key, item: unknown) =>
        typeof item === 'bigint' ? item.toString() : item,
      );
    } catch {
      return '[an object that has no JSON]';
    }
  }
  return String(value);
}

let guarded = false;

function writeToStderr(line: string): void {
  if (!guarded) {
    guarded = true;
    process.stderr.on('error', () => undefined); // whoever read the log is gone: no reason to end
  }
  process.stderr.write(`${line}\n`);
}

export function createLogger(options: LoggerOptions): Logger {
  const least = LOG_LEVELS.indexOf(options.level ?? 'info');
  const write = options.write ?? writeToStderr;
  const now = options.now ?? ((): Date => new Date());

  const logger = (component: string, always: LogFields): Logger => {
    const at =
      (level: LogLevel) =>
      (message: string, fields: LogFields = {}) => {
        if (LOG_LEVELS.indexOf(level) < least) return;
        let line = `${now().toISOString()} ${level} ${escaped(component)} ${escaped(message)}`;
        for (const [key, value] of Object.entries({ ...always, ...fields })) {
          if (value !== undefined) line += ` ${key.replace(/[^\w.-]/g, '_')}=${quoted(valueText(value))}`;
        }
        write(line);
      };
    return {
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      child: (name, fields = {}) => logger(name, { ...always, ...fields }),
    };
  };
  return logger(options.component, {});
}

/** For tests and tools that want none. */
export const silentLogger: Logger = createLogger({ component: '', write: () => undefined });
