import type { Comment, Forge, Repository } from './forge.ts';

/** Of a pull request's, the newest: ours is no older than what it is about. One among older ones is not found. */
const MOST_LOOKED_AT = 500;

/**
 * The comments of the token's own account under a pull request that are marked so, oldest first. Somebody else may have
 * written our mark. Throws as the forge does.
 */
export async function ownComments(
  forge: Pick<Forge, 'commentsOf' | 'login'>,
  repository: Repository,
  number: number,
  isMarked: (body: string) => boolean,
): Promise<Comment[]> {
  const login = await forge.login();
  const comments = await forge.commentsOf(repository, number, MOST_LOOKED_AT);
  return comments.filter(({ author, body }) => author === login && isMarked(body));
}
