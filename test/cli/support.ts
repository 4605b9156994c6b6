/* The command as a process, with a folder of its own for contexts and files. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
export const command = join(root, 'bin', 'cabernet');

export interface Output {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Home {
  readonly folder = mkdtempSync(join(tmpdir(), 'cabernet-home-'));
  readonly contexts = join(this.folder, 'contexts.yaml');
  readonly env: Record<string, string> = { CABERNET_CONTEXTS: this.contexts };

  /** The path of a new file. */
  file(name: string, content: string | Uint8Array): string {
    const path = join(this.folder, name);
    writeFileSync(path, content);
    return path;
  }

  start(args: readonly string[], input?: string | Buffer): Running {
    return new Running(args, { ...plainEnvironment(), ...this.env }, input);
  }

  run(...args: readonly string[]): Promise<Output> {
    return this.start(args).ended;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function plainEnvironment(): NodeJS.ProcessEnv {
  const { CABERNET_CONTEXT: _, CABERNET_WORLD: __, ...rest } = process.env;
  return rest;
}

export class Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Output>;
  #stdout = '';
  #stderr = '';
  #wake: () => void = () => undefined;

  constructor(args: readonly string[], env: NodeJS.ProcessEnv, input?: string | Buffer) {
    const child = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    this.child = child;
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
      this.#wake();
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
      this.#wake();
    });
    this.ended = new Promise((done, fail) => {
      child.once('error', fail);
      child.once('close', (status) => {
        done({ status, stdout: this.#stdout, stderr: this.#stderr });
        this.#wake();
      });
    });
  }

  get output(): Output {
    return { status: this.child.exitCode, stdout: this.#stdout, stderr: this.#stderr };
  }

  /** Resolves when what was printed so far is right; fails when the command has ended without it. */
  async until(look: (output: Output) => boolean): Promise<void> {
    let over = false;
    void this.ended.then(() => (over = true));
    while (!look(this.output)) {
      if (over) throw new Error(`it ended: ${JSON.stringify(this.output)}`);
      // what is looked at may be elsewhere than in the output
      await new Promise<void>((wake) => {
        const timer = setTimeout(wake, 50);
        this.#wake = () => {
          clearTimeout(timer);
          wake();
        };
      });
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Output> {
    this.child.kill(signal);
    return this.ended;
  }
}
