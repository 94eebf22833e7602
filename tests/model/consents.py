"""Consents: giving, taking back, standing in for a patient, and the decision itself."""

from .entities import Entities
from .log import campaign_id, consent_message, revocation_message
from .rewards import Rewards
from .state import Consent, Delegation, Patient, operation
from .words import (
    ALL_CATEGORIES,
    ALL_POWERS,
    GIVE,
    PURPOSES,
    REFUSE,
    REVOKE,
    TIME_MAX,
    U32_MAX,
    ConsentTerms,
    require,
)


class Consents(Entities, Rewards):
    # ---------------------------------------------------------------- giving

    @operation
    def add_consent(self, caller: int, now: int, grantee: int, terms: ConsentTerms) -> int:
        return self._give(caller, now, caller, grantee, terms)

    @operation
    def add_consent_for(self, caller: int, now: int, patient: int, grantee: int, terms: ConsentTerms) -> int:
        self._only_delegate(caller, now, patient, GIVE)
        return self._give(caller, now, patient, grantee, terms)

    @operation
    def add_consent_by_sig(
        self,
        caller: int,
        now: int,
        patient: int,
        grantee: int,
        terms: ConsentTerms,
        nonce: int,
        deadline: int,
        signed: int,
    ) -> int:
        """`signed` is the hash that the patient's key really put its signature under."""
        self._spend_nonce(now, patient, nonce, deadline)
        version = self._give(patient, now, patient, grantee, terms)
        message = consent_message(
            self.chain_id, self.medsync, patient, grantee, terms, version, nonce, deadline
        )
        require(signed == message, "CONSENT/BAD_SIGNATURE")
        return version

    def _give(self, by: int, now: int, patient: int, grantee: int, terms: ConsentTerms) -> int:
        require(grantee != 0, "CONSENT/ZERO_ADDRESS")
        require(grantee != patient, "CONSENT/SELF_GRANT")
        self._check_terms(now, terms)
        require(self._registered(grantee), "ENTITY/UNKNOWN")
        version = self.consent(patient, grantee, terms.purpose).version + 1
        # The very last version is kept back: a consent can always be revoked.
        require(version < U32_MAX, "CONSENT/VERSION_EXHAUSTED")
        campaign = self._check_reward(terms) if terms.reward else 0

        epoch = self.patient(patient).epoch
        self.state.consents[patient, grantee, terms.purpose] = Consent(
            starts_at=terms.starts_at,
            expires_at=terms.expires_at,
            categories=terms.categories,
            version=version,
            epoch=epoch,
            max_uses=terms.max_uses,
            uses=0,
            status="Given",
            campaign=campaign,
        )
        self.emit(
            self.medsync,
            "ConsentAdded",
            {"patient": patient, "grantee": grantee, "purpose": terms.purpose},
            {
                "by": by,
                "version": version,
                "epoch": epoch,
                "categories": terms.categories,
                "starts_at": terms.starts_at,
                "expires_at": terms.expires_at,
                "max_uses": terms.max_uses,
                "campaign": campaign,
                "terms_commitment": terms.terms_commitment,
            },
        )
        return version

    def _check_terms(self, now: int, terms: ConsentTerms) -> None:
        require(terms.purpose in PURPOSES, "CONSENT/BAD_PURPOSE")
        require(0 < terms.categories <= ALL_CATEGORIES, "CONSENT/BAD_CATEGORIES")
        require(terms.starts_at < terms.expires_at, "CONSENT/EMPTY_WINDOW")
        require(now < terms.expires_at, "CONSENT/EXPIRED_AT_BIRTH")
        require(terms.expires_at <= TIME_MAX, "CONSENT/TIME_RANGE")

    def _check_reward(self, terms: ConsentTerms) -> int:
        """The id of the campaign a consent names, once the pool has shown that it can pay by it."""
        reward = terms.reward
        require(reward.purpose == terms.purpose, "CONSENT/CAMPAIGN_PURPOSE")
        answer = self.ask_campaign(reward)
        require(answer is not None, "CONSENT/NOT_A_POOL")
        campaign, log, status = answer
        require(campaign == campaign_id(reward), "CONSENT/NOT_A_POOL")
        require(log == self.medsync, "CONSENT/FOREIGN_POOL")
        require(status == "Open", "CONSENT/CAMPAIGN_NOT_OPEN")
        return campaign

    # ---------------------------------------------------------------- taking back

    @operation
    def revoke_consent(self, caller: int, now: int, grantee: int, purpose: int) -> None:
        self._revoke(caller, caller, grantee, purpose)

    @operation
    def revoke_consent_for(self, caller: int, now: int, patient: int, grantee: int, purpose: int) -> None:
        self._only_delegate(caller, now, patient, REVOKE)
        self._revoke(caller, patient, grantee, purpose)

    @operation
    def revoke_consent_by_sig(
        self,
        caller: int,
        now: int,
        patient: int,
        grantee: int,
        purpose: int,
        nonce: int,
        deadline: int,
        signed: int,
    ) -> None:
        self._spend_nonce(now, patient, nonce, deadline)
        self._revoke(patient, patient, grantee, purpose)
        message = revocation_message(self.chain_id, self.medsync, patient, grantee, purpose, nonce, deadline)
        require(signed == message, "CONSENT/BAD_SIGNATURE")

    def _revoke(self, by: int, patient: int, grantee: int, purpose: int) -> None:
        consent = self.consent(patient, grantee, purpose)
        require(consent.status != "None", "CONSENT/NOT_FOUND")
        if consent.status != "Given" and (by != patient or consent.version == U32_MAX):
            return  # a delegate has nothing to add; the patient's own word counts while there are versions
        consent.version += 1
        consent.status = "Withdrawn" if by == patient else "Revoked"
        self.emit(
            self.medsync,
            "ConsentRevoked",
            {"patient": patient, "grantee": grantee, "purpose": purpose},
            {"by": by, "version": consent.version},
        )

    @operation
    def revoke_all(self, caller: int, now: int) -> None:
        self._revoke_all(caller, caller)

    @operation
    def revoke_all_for(self, caller: int, now: int, patient: int) -> None:
        self._only_delegate(caller, now, patient, REVOKE)
        self._revoke_all(caller, patient)

    def _revoke_all(self, by: int, patient: int) -> None:
        state = self._own(patient)
        state.epoch += 1
        state.nonce += 1  # what was signed and not yet submitted dies too
        self.emit(
            self.medsync,
            "AllConsentsRevoked",
            {"patient": patient},
            {"by": by, "epoch": state.epoch, "nonce": state.nonce},
        )

    # ---------------------------------------------------------------- asking and refusing: events only

    @operation
    def request_consent(self, caller: int, now: int, patient: int, terms: ConsentTerms) -> None:
        require(self._registered(caller), "ENTITY/UNKNOWN")
        require(not self.entity(caller).suspended, "ENTITY/SUSPENDED")
        require(patient != 0, "CONSENT/ZERO_ADDRESS")
        require(patient != caller, "CONSENT/SELF_GRANT")
        self._check_terms(now, terms)
        if terms.reward:
            require(terms.reward.purpose == terms.purpose, "CONSENT/CAMPAIGN_PURPOSE")
        self.emit(
            self.medsync,
            "ConsentRequested",
            {"patient": patient, "grantee": caller, "purpose": terms.purpose},
            {
                "categories": terms.categories,
                "starts_at": terms.starts_at,
                "expires_at": terms.expires_at,
                "max_uses": terms.max_uses,
                "reward": terms.reward,
                "terms_commitment": terms.terms_commitment,
            },
        )

    @operation
    def refuse_consent(self, caller: int, now: int, grantee: int, purpose: int) -> None:
        self._refuse(caller, caller, grantee, purpose)

    @operation
    def refuse_consent_for(self, caller: int, now: int, patient: int, grantee: int, purpose: int) -> None:
        self._only_delegate(caller, now, patient, REFUSE)
        self._refuse(caller, patient, grantee, purpose)

    def _refuse(self, by: int, patient: int, grantee: int, purpose: int) -> None:
        require(grantee != 0, "CONSENT/ZERO_ADDRESS")
        require(purpose in PURPOSES, "CONSENT/BAD_PURPOSE")
        self.emit(
            self.medsync,
            "ConsentRefused",
            {"patient": patient, "grantee": grantee, "purpose": purpose},
            {"by": by},
        )

    # ---------------------------------------------------------------- the patient's own switches

    @operation
    def set_delegate(self, caller: int, now: int, delegate: int, powers: int, expires_at: int) -> None:
        require(delegate != 0, "CONSENT/ZERO_ADDRESS")
        require(delegate != caller, "CONSENT/SELF_DELEGATE")
        require(powers <= ALL_POWERS, "CONSENT/BAD_POWERS")
        require(expires_at <= TIME_MAX, "CONSENT/TIME_RANGE")
        self.state.delegations[caller, delegate] = Delegation(powers, expires_at)
        self.emit(
            self.medsync,
            "DelegateSet",
            {"patient": caller, "delegate": delegate},
            {"powers": powers, "expires_at": expires_at},
        )

    @operation
    def set_emergency_opt_out(self, caller: int, now: int, opted_out: bool) -> None:
        self._own(caller).emergency_opt_out = opted_out
        self.emit(self.medsync, "EmergencyOptOutSet", {"patient": caller}, {"opted_out": opted_out})

    @operation
    def cancel_signatures(self, caller: int, now: int) -> None:
        patient = self._own(caller)
        patient.nonce += 1
        self.emit(self.medsync, "SignaturesCancelled", {"patient": caller}, {"nonce": patient.nonce})

    def _only_delegate(self, caller: int, now: int, patient: int, power: int) -> None:
        delegation = self.state.delegations.get((patient, caller), Delegation())
        require(delegation.powers & power != 0 and now < delegation.expires_at, "CONSENT/NOT_DELEGATE")

    def _spend_nonce(self, now: int, patient: int, nonce: int, deadline: int) -> None:
        """A signed message is good once and up to its deadline."""
        require(now <= deadline, "CONSENT/SIGNATURE_EXPIRED")
        require(nonce == self.patient(patient).nonce, "CONSENT/BAD_NONCE")
        self._own(patient).nonce += 1
        self.emit(self.medsync, "SignatureUsed", {"patient": patient}, {"nonce": nonce})

    def consent(self, patient: int, grantee: int, purpose: int) -> Consent:
        return self.state.consents.get((patient, grantee, purpose), Consent())

    def patient(self, patient: int) -> Patient:
        return self.state.patients.get(patient, Patient())

    def _own(self, patient: int) -> Patient:
        """The patient's state, to be changed."""
        return self.state.patients.setdefault(patient, Patient())

    # ---------------------------------------------------------------- the decision

    def verify_consent(
        self, now: int, patient: int, grantee: int, purpose: int, categories: int
    ) -> tuple[str, str, int]:
        """Decision, reason and the version they rest on. The first line that applies decides."""
        entity = self.entity(grantee)
        if entity.role == "None":
            return "Deny", "EntityUnknown", 0
        if entity.suspended:
            return "Deny", "EntitySuspended", 0
        consent = self.consent(patient, grantee, purpose)
        if consent.status == "None":
            return "NoConsent", "NeverGiven", 0
        if consent.status in ("Withdrawn", "Revoked"):
            return "Deny", consent.status, consent.version
        if consent.epoch != self.patient(patient).epoch:
            return "Deny", "AllRevoked", consent.version
        if now < consent.starts_at:
            return "Deny", "NotStarted", consent.version
        if now >= consent.expires_at:
            return "Deny", "Expired", consent.version
        if categories == 0 or categories & ~consent.categories:
            return "Deny", "CategoryNotCovered", consent.version
        if consent.uses >= (consent.max_uses or U32_MAX):
            return "Deny", "UsesExhausted", consent.version
        return "Permit", "Granted", consent.version
