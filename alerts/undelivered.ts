/** A target did not take what it was told. The message says what to do, and no secret. */
export class Undelivered extends Error {
  /** Whether it refused this very message, and may take another. */
  readonly isOfMessage: boolean;

  constructor(message: string, isOfMessage = false) {
    super(message);
    this.name = 'Undelivered';
    this.isOfMessage = isOfMessage;
  }
}
