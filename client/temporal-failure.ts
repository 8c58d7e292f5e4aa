import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  isGrpcServiceError,
  TerminatedFailure,
  TimeoutFailure,
  WorkflowFailedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import { messageOf } from '../domain/fault.ts';

/** gRPC status codes that a caller tells apart; https://grpc.io/docs/guides/status-codes/ */
const GRPC = {
  cancelled: 1,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  unauthenticated: 16,
  failedPrecondition: 9,
  unavailable: 14,
};

function grpcCode(error: unknown): number | null {
  for (let each = error; each instanceof Error; each = each.cause) {
    if (isGrpcServiceError(each)) return each.code;
  }
  return null;
}

/** The server is gone, or was never there. */
export function isUnreachable(error: unknown): boolean {
  return grpcCode(error) === GRPC.unavailable;
}

/** Nobody answered in time, or the server knows that nobody will: no worker polls the task queue. */
export function isUnanswered(error: unknown): boolean {
  const code = grpcCode(error);
  // A call that our own deadline ended is reported as cancelled.
  return code === GRPC.deadlineExceeded || code === GRPC.cancelled || code === GRPC.failedPrecondition;
}

export function isNotFound(error: unknown): boolean {
  return error instanceof WorkflowNotFoundError || grpcCode(error) === GRPC.notFound;
}

export function isAlreadyThere(error: unknown): boolean {
  return grpcCode(error) === GRPC.alreadyExists;
}

export function isForbidden(error: unknown): boolean {
  return grpcCode(error) === GRPC.permissionDenied;
}

export function isUnauthenticated(error: unknown): boolean {
  return [GRPC.unauthenticated, GRPC.permissionDenied].some((code) => code === grpcCode(error));
}

/** Whatever was thrown, in words: the cause that says something, once, without the wrappers around it. */
export function explain(error: unknown): string {
  let each = error;
  while (
    (each instanceof WorkflowFailedError ||
      each instanceof WorkflowUpdateFailedError ||
      each instanceof ChildWorkflowFailure ||
      each instanceof ActivityFailure) &&
    each.cause
  ) {
    each = each.cause;
  }
  if (each instanceof ApplicationFailure) return each.message;
  if (each instanceof CancelledFailure) return 'it was cancelled';
  if (each instanceof TerminatedFailure) return `it was terminated: ${each.message}`;
  if (each instanceof TimeoutFailure) return `it timed out: ${each.message}`;
  for (let cause = each; cause instanceof Error; cause = cause.cause) {
    if (isGrpcServiceError(cause)) return `the Temporal server answers: ${cause.details}`;
  }
  return messageOf(each);
}
