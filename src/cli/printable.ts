/**
 * Text of others on its way to a terminal: what would move the cursor, change colours or turn the reading direction is
 * shown as its code, `\u{1b}`, and does nothing.
 */

/** Controls, formats (bidi, zero width …), line and paragraph separators, halves of pairs, private use. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/gu;

const code = (character: string): string => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;

/** On one line. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, code);
}

/** Line ends stay. */
export function printableLines(text: string): string {
  return text.replace(UNPRINTABLE, (character) => (character === '\n' ? character : code(character)));
}

/** In JSON, where such characters stand in texts only: by JSON's own escapes, so that it is still the same value. */
export function printableJson(json: string): string {
  return json.replace(UNPRINTABLE, (character) =>
    character === '\n'
      ? character
      : Array.from(
          { length: character.length },
          (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
        ).join(''),
  );
}

export function isPrintable(text: string): boolean {
  return text.search(UNPRINTABLE) < 0;
}
