/**
 * The forge that the mirrors are on, as the system sees it: pull requests, their comments and the statuses of their
 * commits. One adapter speaks to one kind of forge. Every function asks again by itself where that helps, a few times
 * and within the limits that the forge names; then it throws Fault Forge. It throws Fault BadConfig where the forge does
 * not take the token, or does not let it do this; and what the signal was aborted with that it was made with. What is
 * not there is an answer and no fault.
 */
export interface Forge {
  /** Who the token's account is: its login. */
  login(): Promise<string>;
  /** Makes the repository, private, without issues and wiki, where there is none. */
  ensureRepository(repository: Repository): Promise<'there' | 'made'>;
  pullRequest(repository: Repository, number: number): Promise<PullRequest | null>;
  /** The open ones that were touched last, so many at most. */
  openPullRequests(repository: Repository, most: number): Promise<PullRequest[]>;
  /** Answers whether it is closed now by us; false where somebody was quicker, or it is gone. */
  closePullRequest(repository: Repository, number: number): Promise<boolean>;
  /** Whether somebody opened it again after it was closed. */
  wasReopened(repository: Repository, number: number): Promise<boolean>;
  /**
   * Whether its head was pushed to after then; what came in the same second counts, since it may have. So does that it was
   * opened again: a forge need not tell of pushes while it was closed.
   */
  pushedSince(repository: Repository, number: number, since: Date): Promise<boolean>;
  comment(repository: Repository, id: number): Promise<Comment | null>;
  /** Of all its pull requests, those written at that time or after it, newest first, so many at most. */
  commentsSince(repository: Repository, since: Date, most: number): Promise<Comment[]>;
  /** Those of one pull request, oldest first; of many the newest. */
  commentsOf(repository: Repository, number: number, most: number): Promise<Comment[]>;
  /** Null where there is no such pull request any more. */
  addComment(repository: Repository, number: number, body: string): Promise<Comment | null>;
  /** False where it is gone: it is not made again. */
  editComment(repository: Repository, id: number, body: string): Promise<boolean>;
  deleteComment(repository: Repository, id: number): Promise<void>;
  /** Whether that account may write to the repository, or more. */
  mayWrite(repository: Repository, login: string): Promise<boolean>;
  /** False where the forge does not have the commit. */
  setStatus(repository: Repository, commit: string, status: CommitStatus): Promise<boolean>;
}

/** By its owner and its name, as in its URL. */
export interface Repository {
  owner: string;
  name: string;
}

export interface PullRequest {
  number: number;
  title: string;
  state: 'open' | 'closed';
  isDraft: boolean;
  /** Its fork is another repository, or none: only a branch of the repository itself is its writers'. */
  head: { commit: string; isFork: boolean };
  /** The branch that it asks to be merged into. */
  base: string;
  /** Its page. */
  url: string;
}

export interface Comment {
  id: number;
  /** The number of the pull request that it is under; null where it is under none. */
  pullRequest: number | null;
  /** The account's login; empty where it is gone, or the comment came from elsewhere. */
  author: string;
  body: string;
  /** ISO 8601, UTC. */
  created: string;
  /** Whether its text was changed since. */
  edited: boolean;
  /** Where it stands. */
  url: string;
}

export interface CommitStatus {
  /** As in `recipe-sweep/cold`. */
  context: string;
  state: 'pending' | 'success' | 'failure' | 'error';
  /** One short line. */
  description: string;
  /** Where there is more; null for nowhere. */
  url: string | null;
}
