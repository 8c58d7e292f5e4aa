import { SEARCH_ATTRIBUTES } from '../workflows/protocol.ts';

/** A search attribute as the Temporal server has it: the type's name on its command line, and its number in the API. */
export interface RegisteredAttribute {
  name: string;
  type: 'Keyword' | 'KeywordList';
  number: number;
}

/** Of Temporal's API: INDEXED_VALUE_TYPE_KEYWORD and …_KEYWORD_LIST. */
const TYPES = {
  KEYWORD: { type: 'Keyword', number: 2 },
  KEYWORD_LIST: { type: 'KeywordList', number: 7 },
} as const;

/** Ours, as they are registered. */
export const REGISTERED_ATTRIBUTES: readonly RegisteredAttribute[] = Object.values(SEARCH_ATTRIBUTES).map(
  ({ name, type }) => ({ name, ...TYPES[type] }),
);
