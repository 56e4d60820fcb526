// Verifies the assertion with njs and its WebCrypto. njs starts from a fresh clone of the script for each request, so
// the key is imported each time: there is nowhere to keep it.

function decoded(part) {
  return JSON.parse(Buffer.from(part, 'base64url').toString());
}

async function answer(r) {
  try {
    const identity = await verified(r);
    if (identity === null) {
      r.return(401, 'Token is invalid.\n');
      return;
    }
    r.headersOut['X-Auth-User'] = identity;
    r.return(200);
  } catch (e) {
    r.return(401, 'Token is invalid.\n');
  }
}

async function verified(r) {
  const token = r.headersIn['Cf-Access-Jwt-Assertion'];
  if (!token) return null;
  const parts = token.split('.');
  if (parts.length !== 3) return null;
  const header = decoded(parts[0]);
  if (header.alg !== 'RS256' || header.kid !== settings.kid) return null;
  const claims = decoded(parts[1]);
  const now = Date.now() / 1000;
  if (claims.iss !== settings.issuer || !(claims.exp > now - 30) || !(claims.nbf <= now + 30)) return null;
  const audience = r.uri.slice(6);
  if (!Array.isArray(claims.aud) || claims.aud.indexOf(audience) < 0) return null;
  if (typeof claims.email !== 'string') return null;
  const algorithm = {name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256'};
  const key = await crypto.subtle.importKey('spki', Buffer.from(settings.spki, 'base64'), algorithm, false, ['verify']);
  const good = await crypto.subtle.verify(
    algorithm, key, Buffer.from(parts[2], 'base64url'), Buffer.from(parts[0] + '.' + parts[1]));
  return good ? claims.email : null;
}

export default {answer};
