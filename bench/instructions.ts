/*
 * Instructions retired by this process in the kernel, through `perf stat`: what does not drift with the machine's
 * load. Undefined where perf or its counters are absent, as in many virtual machines.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let available: boolean | undefined;

function supported(): boolean {
  if (available === undefined) {
    const probe = spawnSync('perf', ['stat', '-x,', '-e', 'instructions:k', 'true'], { encoding: 'utf8' });
    available = probe.status === 0 && /^\d+,/m.test(probe.stderr);
  }
  return available;
}

/** The result of `work`, and the instructions it took in the kernel. */
export async function countInstructions<T>(
  work: () => Promise<T>,
): Promise<{ result: T; instructions?: number }> {
  if (!supported()) return { result: await work() };
  const directory = mkdtempSync(join(tmpdir(), 'cabernet-perf-'));
  const [control, acknowledge, output] = ['control', 'acknowledge', 'output'].map((name) =>
    join(directory, name),
  );
  if (!control || !acknowledge || !output) throw new Error('no paths');
  try {
    spawnSync('mkfifo', [control, acknowledge]);
    const args = ['stat', '-x,', '-D', '-1', '--control', `fifo:${control},${acknowledge}`, '-o', output];
    const perf = spawn('perf', [...args, '-e', 'instructions:k', '-p', String(process.pid)], {
      stdio: 'ignore',
    });
    const commands = createWriteStream(control);
    const answers = createReadStream(acknowledge);
    const command = async (text: string): Promise<void> => {
      commands.write(`${text}\n`);
      await once(answers, 'data');
    };
    await command('enable');
    const result = await work();
    await command('disable');
    perf.kill('SIGINT');
    await once(perf, 'exit');
    commands.destroy();
    answers.destroy();
    const count = Number(/^(\d+),/m.exec(readFileSync(output, 'utf8'))?.[1]);
    return Number.isFinite(count) ? { result, instructions: count } : { result };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
