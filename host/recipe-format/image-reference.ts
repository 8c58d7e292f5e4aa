/** The grammar of image references (distribution/reference): `[host[:port]/]path[:tag][@digest]`. */
const HOST = '(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*';
const PART = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const TAG = ':[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}';
const DIGEST = '@sha(?:256|384|512):[0-9a-f]{64,128}';
const REFERENCE = new RegExp(`^(?:${HOST}(?::\\d{1,5})?/)?${PART}(?:/${PART})*(?:${TAG})?(?:${DIGEST})?$`);

const LONGEST_REFERENCE = 500;

/** Whether a text is an image's name and nothing else: it becomes part of a path of the engine's API. */
export function isImageReference(text: string): boolean {
  return text.length <= LONGEST_REFERENCE && REFERENCE.test(text);
}
