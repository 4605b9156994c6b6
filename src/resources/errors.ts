/** What a controller does not do as it was asked: told to whoever asked, one line for each reason. */
export class ResourceError extends Error {
  override readonly name = 'ResourceError';

  constructor(reasons: readonly string[] | string) {
    // a line is a reason, whoever wrote it
    const lines = typeof reasons === 'string' ? [reasons] : reasons;
    super(lines.map((line) => line.replace(/\s*[\r\n]+\s*/g, ' ')).join('\n'));
  }
}
