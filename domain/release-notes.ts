/**
 * What release notes (`release/<tag>` in a recipe) say that an operator must do by hand. Notes are prose that anybody
 * wrote: what looks like work by hand is taken for it, since whoever reads a note in vain loses a minute, and whoever
 * upgrades past one loses data.
 */

/** What notes say where something does not go by itself. */
const BY_HAND: readonly RegExp[] = [
  /\bmanual(?:ly)?\b/,
  /\bby hand\b/,
  /\bbreaking\b/,
  /\b(?:action|intervention|migration)s?\s+(?:is\s+|are\s+)?(?:required|needed|necessary)\b/,
  /\bmigration\s+(?:guide|steps?|instructions?)\b/,
  /\b(?:requires?|needs?)\s+(?:an?\s+)?(?:\w+\s+)?migration\b/,
  /\brun\s+(?:the\s+)?(?:following|these|this|`)/,
  /\babra\s+app\s+(?:cmd|command|run|secret|config)\b/,
  /\bafter\s+(?:you\s+|the\s+)?(?:upgrad\w+|updat\w+|deploy\w+)\W+(?:please\s+)?(?:run|execute|set|insert|remove|delete|recreate|restart)/,
  /\bplease\s+(?:run|execute|set|insert|remove|delete|back\s*up|rename|move)\b/,
  /\b(?:set|add)\s+the\s+(?:new\s+)?(?:env|environment)\b/,
  /\b(?:must|(?:need|have|has|needs)\s+to)\s+(?:first\s+|be\s+)?(?:run|ran|set|add|generate|execute|move|migrate|dump|export|back\s*up|upgrade|remove|delete|rename|insert|create|change|re-?generate|re-?create|adapt|adjust)/,
  /\bbefore\s+(?:you\s+|the\s+)?(?:upgrad|updat|deploy)/,
  /\b(?:incompatible|irreversible|one-?way)\b/,
  /\b(?:not|isn't|no longer)\s+backwards?[\s-]+compatible\b/,
  /\b(?:can\s?not|can't)\s+be\s+(?:undone|reverted|rolled\s+back|downgraded)\b/,
];

/** What says so of nothing: that there is none of it, or a book of that name. */
const NOT_SO: readonly RegExp[] = [
  /\b(?:no|non|not|zero|without\s+any)[\s-]+(?:manual|breaking)(?:\s+(?:changes?|migrations?|steps?|work|actions?|interventions?))?\b/g,
  /\b(?:nothing|no\s+\w+)\s+(?:(?:to|needs?|needed|has|have|must|is|are|be|do|done)\s+)*by hand\b/g,
  /\bno\s+(?:actions?|interventions?|migrations?)\s+(?:is\s+|are\s+)?(?:required|needed|necessary)\b/g,
  /\b(?:the|this|user|users'|admin|reference|online)\s+manual\b(?!\s+(?:migration|step|work|action|intervention|upgrade))/g,
];

/** The lines that speak of work by hand, as they are written; none where the notes do not. */
export function linesByHand(notes: string): string[] {
  return notes
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => {
      const plain = NOT_SO.reduce((text, none) => text.replace(none, ' '), line.toLowerCase());
      return BY_HAND.some((sign) => sign.test(plain));
    });
}
