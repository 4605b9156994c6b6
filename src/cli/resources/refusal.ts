/** What a server refused, told with its place in the file that it came from. */
import { ApiError } from '../../api/errors.js';
import { type ManifestError } from '../../api/yaml-source.js';
import { type Given, problemOf } from './manifests.js';
import { printable } from './show.js';

/** `given`: the resources of the request, in its order. Anything that has no place in a file stays as it is. */
export function placed(error: unknown, given: readonly Given[]): unknown {
  if (!(error instanceof ApiError)) return error;
  const [, index, rest = ''] = /^resources\[(\d{1,4})\](?:\.(.*))?$/.exec(error.field ?? '') ?? [];
  const one = given[Number(index)];
  if (index === undefined || !one) return error;
  return problemFrom(one, rest, error, given);
}

function problemFrom(one: Given, field: string, error: ApiError, given: readonly Given[]): ManifestError {
  // the server counts the request's resources; the reader of the file has others before its eyes
  const told = error.message.replace(/resources\[(\d{1,4})\](\.?)/g, (text, digits: string, dot: string) => {
    const other = given[Number(digits)];
    if (!other) return text;
    if (dot === '') return other === one ? 'this' : `${other.name} at ${other.file}:${other.locate('').line}`;
    return other.path === '' ? '' : `${other.path}.`;
  });
  return problemOf(one, printable(field), `${printable(told)} (${error.reason})`);
}
