/** The conformance suite on a SQLite file. */
import { describe } from 'vitest';

import { conformance } from './conformance.js';
import { sqlitePlace } from './support.js';

describe('SQLite', () => {
  conformance(sqlitePlace);
});
