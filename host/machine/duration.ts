import ms from 'ms';
import { z } from 'zod';

const FORM = 'a whole number with a unit: ms, s, m, h or d, as in 90s or 20h';

/** A time as operators write it in any of the YAML files; in milliseconds once it is read. */
export const duration = z
  .string({ error: FORM })
  .regex(/^\d+(ms|s|m|h|d)$/, FORM)
  .transform((written) => ms(written as ms.StringValue));
