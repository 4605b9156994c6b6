/*
 * What bfdd of FRR writes into its log, with `debug bfd peer` and `log timestamp precision 6`.
 */
const LOG_TIME = /^(\d+)\/(\d+)\/(\d+) (\d+):(\d+):(\d+)\.(\d{6})/;

/** Moments, ns of CLOCK_REALTIME, of the lines of bfdd's log that end a session. */
export function downsIn(log: string): bigint[] {
  return log.split('\n').flatMap((line) => {
    const time = LOG_TIME.exec(line);
    if (!time || !/state-change: .*up -> down/.test(line)) return [];
    const [year, month, day, hour, minute, second, micros] = time.slice(1).map(Number);
    // local, as the log is
    const at = new Date(year ?? 0, (month ?? 1) - 1, day, hour, minute, second).getTime();
    return [BigInt(at) * 1_000_000n + BigInt(micros ?? 0) * 1000n];
  });
}
