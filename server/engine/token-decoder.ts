/** UTF-8 bytes of tokens to text; a token that ends inside a character carries its text with the one that completes it. */
export class TokenDecoder {
  private readonly decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  push(bytes: Uint8Array): string {
    return this.decoder.decode(bytes, { stream: true });
  }
}
