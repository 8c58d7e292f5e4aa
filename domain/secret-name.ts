/** A word of any name. */
const IN_SECRET_NAME =
  /passw|passphrase|pwd|secret|token|(?:api|private|access)[_-]?key|credential|auth(?!or)/i;
/** A whole word of a name, as of DB_PASS and jwtKey. */
const SECRET_WORD = /^(?:.*(?<!by|com)pass|pw)\d*$/i;
const KEY_WORD = /^keys?\d*$/i;
const PUBLIC_WORD = /^pub(?:lic)?$/i;
/** What names a file does not hold what is in it, and what is read from standard input is not there. */
const NAMES_A_PLACE = /(?:file|stdin)$/i;
/** Of a name; those that are longer say by their end what they are. */
const LOOKED_AT = 200;

/** Whether a setting is called like a secret, in the words that programs have for one. */
export function isSecretName(written: string): boolean {
  const name = written.slice(-LOOKED_AT);
  if (NAMES_A_PLACE.test(name)) return false;
  if (IN_SECRET_NAME.test(name)) return true;
  const words = name.replaceAll(/([a-z\d])(?=[A-Z])|([A-Z])(?=[A-Z][a-z])/g, '$1$2_').split(/[^A-Za-z\d]+/);
  const isPublic = words.some((word) => PUBLIC_WORD.test(word));
  return words.some((word) => SECRET_WORD.test(word) || (KEY_WORD.test(word) && !isPublic));
}
