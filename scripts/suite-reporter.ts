// A reporter for the test runner: one line per suite (a folder of test/) with its time, before the runner's own closing
// lines, and the counts of the whole run for scripts/test. A suite in which nothing passed is a failure.
import { writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
  /** ms, of tests and hooks and of loading them. */
  duration: number;
}

/**
 * Reports `suites`, the names of those that were asked for; writes the closing line to the file `closing`, if given.
 * `skippable`: a suite may be skipped as a whole, for a reason that its tests' names tell.
 */
export class SuiteReporter implements Reporter {
  readonly #suites: readonly string[];
  readonly #closing: string | undefined;
  readonly #skippable: boolean;

  constructor(suites: readonly string[], closing: string | undefined, { skippable = false } = {}) {
    this.#suites = suites;
    this.#closing = closing;
    this.#skippable = skippable;
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const all = new Map(this.#suites.map((suite) => [suite, none()]));
    for (const module of modules) {
      const { name } = module.project;
      const counts = all.get(name) ?? none();
      all.set(name, counts);
      count(module, counts);
    }
    process.stdout.write('\n');
    for (const [suite, counts] of all) {
      const skipped = this.#skippable && counts.skipped > 0;
      if (counts.passed === 0 && counts.failed === 0 && !skipped) {
        counts.failed++;
        process.stdout.write(` ${suite}: no test has run\n`);
        process.exitCode = 1;
      }
      process.stdout.write(
        ` ${suite.padEnd(10)} ${line(counts)} (${(counts.duration / 1000).toFixed(1)} s)\n`,
      );
    }
    const total = none();
    total.failed += errors.length;
    for (const counts of all.values()) {
      total.passed += counts.passed;
      total.failed += counts.failed;
      total.skipped += counts.skipped;
    }
    if (this.#closing !== undefined) writeFileSync(this.#closing, `${line(total)}\n`);
  }
}

function none(): Counts {
  return { passed: 0, failed: 0, skipped: 0, duration: 0 };
}

function line({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

function count(module: TestModule, counts: Counts): void {
  const { collectDuration, setupDuration, duration } = module.diagnostic();
  counts.duration += collectDuration + setupDuration + duration;
  let failures = 0;
  for (const test of module.children.allTests()) {
    const { state } = test.result();
    if (state === 'passed') counts.passed++;
    else if (state === 'failed') failures++;
    else counts.skipped++;
  }
  // A file that can't be loaded, or a hook that failed, has no failed test to show for it.
  counts.failed += failures === 0 && module.state() === 'failed' ? 1 : failures;
}
