"""Consents: giving, taking back, refusing, standing in for a patient, and the decision itself."""

from dataclasses import replace
from typing import Any

from .hashes import campaign_id, consent_message, revocation_message
from .rewards import Rewards
from .state import Consent, Delegation, Key, PaidUses, Patient, operation
from .words import (
    ALL_CATEGORIES,
    ALL_POWERS,
    BREAK_THE_GLASS,
    GIVE,
    PURPOSES,
    REFUSAL_BITS,
    REFUSE,
    REVOKE,
    TIME_MAX,
    U32_MAX,
    CampaignTerms,
    ConsentTerms,
    Verdict,
    refusal_bits,
    require,
)


class Consents(Rewards):
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
        generation: int,
        counter: int,
        deadline: int,
        signed: int,
    ) -> int:
        """`signed` is the hash that the patient's key really put its signature under."""
        require(now <= deadline, "CONSENT/SIGNATURE_EXPIRED")
        state = self._own(patient)
        fits = (generation, counter) == (state.generation, state.counter)
        require(fits and counter < U32_MAX, "CONSENT/BAD_NONCE")  # the last counter has no next
        state.counter += 1
        version = self._give(patient, now, patient, grantee, terms, nonce_of(generation, counter))
        message = consent_message(
            self.chain_id, self.medsync, patient, grantee, terms, version, generation, counter, deadline
        )
        require(signed == message, "CONSENT/BAD_SIGNATURE")
        return version

    def _give(
        self, by: int, now: int, patient: int, grantee: int, terms: ConsentTerms, nonce: int = 0
    ) -> int:
        self._check_terms(now, patient, grantee, terms)
        require(self._registered(grantee), "ENTITY/UNKNOWN")
        state = self.patient(patient)
        require(terms.purpose not in state.refused_purposes, "CONSENT/PURPOSE_REFUSED")
        require(state.generation < U32_MAX, "CONSENT/GENERATION_EXHAUSTED")
        key = (patient, grantee, terms.purpose, terms.study)
        consent = self.consent_record(key)
        # The very last version is kept back: a consent can always be revoked.
        version = consent.version + 1
        require(version < U32_MAX, "CONSENT/VERSION_EXHAUSTED")
        if by != patient:
            require(self._delegate_may_give(now, consent, state.floor), "CONSENT/PATIENT_DECIDED")
        campaign = 0
        if terms.reward:
            campaign = campaign_id(terms.reward)
            if not (self._is_live(now, key) and self._names(key, consent, campaign)):
                self._check_reward(now, grantee, terms.reward)
            cell = self.state.paid.setdefault((key, campaign), PaidUses())
            cell.version, cell.base = version, cell.paid

        # What a delegate gives stays within reach of what the patient signed before.
        generation = state.generation if by == patient else max(consent.generation, state.floor)
        self.state.consents[key] = Consent(
            status="Given",
            starts_at=terms.starts_at,
            expires_at=terms.expires_at,
            categories=terms.categories,
            version=version,
            generation=generation,
            max_uses=terms.max_uses,
            uses=0,
            rewarded=terms.reward is not None,
            scoped=terms.scoped,
            by_delegate=by != patient and (consent.status == "None" or consent.by_delegate),
        )
        self.enter_history(
            now,
            "ConsentAdded",
            {"patient": patient, "grantee": grantee, "purpose": terms.purpose},
            {
                "study": terms.study,
                "by": by,
                "nonce": nonce,
                "version": version,
                "generation": generation,
                "categories": terms.categories,
                "starts_at": terms.starts_at,
                "expires_at": terms.expires_at,
                "max_uses": terms.max_uses,
                "scoped": terms.scoped,
                "campaign": campaign,
                "terms_commitment": terms.terms_commitment,
            },
            closes=False,
        )
        return version

    def _check_terms(self, now: int, patient: int, grantee: int, terms: ConsentTerms) -> None:
        require(grantee != 0 and patient != 0, "CONSENT/ZERO_ADDRESS")
        require(grantee != patient, "CONSENT/SELF_GRANT")
        require(terms.purpose in PURPOSES, "CONSENT/BAD_PURPOSE")
        require(0 < terms.categories <= ALL_CATEGORIES, "CONSENT/BAD_CATEGORIES")
        require(terms.starts_at < terms.expires_at, "CONSENT/EMPTY_WINDOW")
        require(now < terms.expires_at, "CONSENT/EXPIRED_AT_BIRTH")
        require(terms.expires_at <= TIME_MAX, "CONSENT/TIME_RANGE")
        if terms.reward:
            require(terms.reward.purpose == terms.purpose, "CONSENT/CAMPAIGN_PURPOSE")
            require(terms.reward.study == terms.study, "CONSENT/CAMPAIGN_STUDY")
            require(terms.reward.spender == 0, "CONSENT/CAMPAIGN_SPENDER")

    def _check_reward(self, now: int, grantee: int, reward: CampaignTerms) -> None:
        """A campaign that a consent newly names must be able to pay this grantee at least once."""
        require(self.is_pool(reward.pool), "CONSENT/NOT_A_POOL")
        require(now < reward.expires_at, "CONSENT/CAMPAIGN_EXPIRED")
        require(self.budget(campaign_id(reward), grantee).left > 0, "CONSENT/CAMPAIGN_UNFUNDED")
        require(self.accepts_consents(now, reward.pool, campaign_id(reward)), "CONSENT/CAMPAIGN_CLOSING")

    def _delegate_may_give(self, now: int, consent: Consent, floor: int) -> bool:
        """Where nobody decided, or only delegates did and nothing was revoked since, or time ran out."""
        if consent.status == "None":
            return True
        ran_out = consent.status == "Given" and now >= consent.expires_at
        return consent.generation >= floor and (consent.by_delegate or ran_out)

    # ---------------------------------------------------------------- taking back

    @operation
    def revoke_consent(self, caller: int, now: int, grantee: int, purpose: int, study: int) -> None:
        self._check_target(grantee, purpose)
        key = (caller, grantee, purpose, study)
        require(self.consent_record(key).status != "None", "CONSENT/NOT_FOUND")
        self._decide_no(now, key, caller, "Withdrawn", nonce=0)

    @operation
    def revoke_consent_for(
        self, caller: int, now: int, patient: int, grantee: int, purpose: int, study: int
    ) -> None:
        self._only_delegate(caller, now, patient, REVOKE)
        self._check_target(grantee, purpose)
        key = (patient, grantee, purpose, study)
        require(self.consent_record(key).status != "None", "CONSENT/NOT_FOUND")
        if self._is_live(now, key):  # a delegate has nothing to add to what says no already
            self._decide_no(now, key, caller, "Revoked", nonce=0)

    @operation
    def revoke_consent_by_sig(
        self,
        caller: int,
        now: int,
        patient: int,
        grantee: int,
        purpose: int,
        study: int,
        generation: int,
        deadline: int,
        signed: int,
    ) -> None:
        self._check_target(grantee, purpose)
        require(now <= deadline, "CONSENT/SIGNATURE_EXPIRED")
        key, state = (patient, grantee, purpose, study), self._own(patient)
        decided = self.consent_record(key).generation
        require(1 <= generation <= state.generation, "CONSENT/BAD_GENERATION")
        by_delegate = self.consent_record(key).by_delegate
        require(by_delegate or decided <= generation, "CONSENT/BAD_GENERATION")
        self._raise_generation(state)
        # In the last generation there is no later one: what was withdrawn in it stays so.
        require(decided < state.generation, "CONSENT/BAD_GENERATION")
        self._decide_no(now, key, patient, "Withdrawn", nonce=nonce_of(generation, 0))
        message = revocation_message(
            self.chain_id, self.medsync, patient, grantee, purpose, study, generation, deadline
        )
        require(signed == message, "CONSENT/BAD_SIGNATURE")

    def _check_target(self, grantee: int, purpose: int) -> None:
        """Whom a no is about, and for what; what is said about emergencies is no consent."""
        require(grantee != 0, "CONSENT/ZERO_ADDRESS")
        require(purpose in PURPOSES, "CONSENT/BAD_PURPOSE")

    def _decide_no(self, now: int, key: Key, by: int, status: str, **more: Any) -> None:
        """Write a no into the record: the patient's own word, or a delegate's."""
        patient, grantee, purpose, study = key
        before = self.consent_record(key)
        consent = replace(before, status=status, version=min(before.version + 1, U32_MAX))
        if by == patient:
            consent.generation, consent.by_delegate = self.patient(patient).generation, False
        elif before.status == "None":
            consent.generation, consent.by_delegate = self.patient(patient).floor, True
        self.state.consents[key] = consent
        self.enter_history(
            now,
            "ConsentRefused" if status == "Refused" else "ConsentRevoked",
            {"patient": patient, "grantee": grantee, "purpose": purpose},
            {"study": study, "by": by, **more, "version": consent.version, "generation": consent.generation},
            closes=by == patient,
        )

    @operation
    def revoke_all(self, caller: int, now: int, dismiss_delegates: bool) -> None:
        self._revoke_all(caller, now, caller, dismiss_delegates)

    @operation
    def revoke_all_for(self, caller: int, now: int, patient: int) -> None:
        self._only_delegate(caller, now, patient, REVOKE)
        self._revoke_all(caller, now, patient, False)

    def _revoke_all(self, by: int, now: int, patient: int, dismiss: bool) -> None:
        state = self._own(patient)
        self._raise_generation(state)
        state.floor = state.generation
        if dismiss:
            state.delegate_epoch = min(state.delegate_epoch + 1, U32_MAX)
        self.enter_history(
            now,
            "AllConsentsRevoked",
            {"patient": patient},
            {"by": by, "generation": state.generation, "delegates_dismissed": dismiss},
            closes=by == patient,
        )

    @operation
    def cancel_signatures(self, caller: int, now: int) -> None:
        state = self._own(caller)
        self._raise_generation(state)
        generation = {"generation": state.generation}
        self.enter_history(now, "SignaturesCancelled", {"patient": caller}, generation, closes=True)

    def _raise_generation(self, state: Patient) -> None:
        """What was signed before and gives something dies. This never fails."""
        state.generation, state.counter = min(state.generation + 1, U32_MAX), 1

    def assert_generation(self, patient: int, generation: int) -> None:
        require(generation == self.patient(patient).generation, "CONSENT/BAD_GENERATION")

    # ---------------------------------------------------------------- asking and refusing

    @operation
    def request_consent(
        self, caller: int, now: int, patient: int, terms: ConsentTerms, open_until: int
    ) -> None:
        self._active(caller)
        self._check_terms(now, patient, caller, terms)
        require(now < open_until, "CONSENT/REQUEST_OVER")
        require(open_until <= TIME_MAX, "CONSENT/TIME_RANGE")
        self.emit(
            self.medsync,
            "ConsentRequested",
            {"patient": patient, "grantee": caller, "purpose": terms.purpose},
            {
                "open_until": open_until,
                "study": terms.study,
                "categories": terms.categories,
                "starts_at": terms.starts_at,
                "expires_at": terms.expires_at,
                "max_uses": terms.max_uses,
                "scoped": terms.scoped,
                "reward": terms.reward,
                "terms_commitment": terms.terms_commitment,
            },
        )

    @operation
    def refuse_consent(self, caller: int, now: int, grantee: int, purpose: int, study: int) -> None:
        self._check_target(grantee, purpose)
        self._decide_no(now, (caller, grantee, purpose, study), caller, "Refused")

    @operation
    def refuse_consent_for(
        self, caller: int, now: int, patient: int, grantee: int, purpose: int, study: int
    ) -> None:
        self._only_delegate(caller, now, patient, REFUSE)
        self._check_target(grantee, purpose)
        key = (patient, grantee, purpose, study)
        if self._is_live(now, key):
            self._only_delegate(caller, now, patient, REVOKE)
        if self.consent_record(key).status in ("None", "Given"):
            self._decide_no(now, key, caller, "Refused")

    @operation
    def refuse_purpose(self, caller: int, now: int, purpose: int) -> None:
        require(purpose in PURPOSES, "CONSENT/BAD_PURPOSE")
        self._own(caller).refused_purposes |= {purpose}
        self.enter_history(now, "PurposeRefused", {"patient": caller, "purpose": purpose}, {}, closes=True)

    @operation
    def allow_purpose(self, caller: int, now: int, purpose: int) -> None:
        require(purpose in PURPOSES, "CONSENT/BAD_PURPOSE")
        self._own(caller).refused_purposes -= {purpose}
        self.enter_history(now, "PurposeAllowed", {"patient": caller, "purpose": purpose}, {}, closes=False)

    # ---------------------------------------------------------------- delegates and emergencies

    @operation
    def set_delegate(self, caller: int, now: int, delegate: int, powers: int, expires_at: int) -> None:
        require(delegate != 0, "CONSENT/ZERO_ADDRESS")
        require(delegate != caller, "CONSENT/SELF_DELEGATE")
        require(powers <= ALL_POWERS, "CONSENT/BAD_POWERS")
        require(expires_at <= TIME_MAX, "CONSENT/TIME_RANGE")
        epoch = self.patient(caller).delegate_epoch
        require(epoch < U32_MAX or powers == 0, "CONSENT/EPOCH_EXHAUSTED")
        self.state.delegations[caller, delegate] = Delegation(powers, expires_at, epoch)
        self.enter_history(
            now,
            "DelegateSet",
            {"patient": caller, "delegate": delegate},
            {"powers": powers, "expires_at": expires_at, "epoch": epoch},
            closes=powers == 0,
        )

    @operation
    def dismiss_delegates(self, caller: int, now: int) -> None:
        state = self._own(caller)
        state.delegate_epoch = min(state.delegate_epoch + 1, U32_MAX)
        epoch = {"epoch": state.delegate_epoch}
        self.enter_history(now, "DelegatesDismissed", {"patient": caller}, epoch, closes=True)

    @operation
    def set_emergency_choice(self, caller: int, now: int, choice: str) -> None:
        self._own(caller).emergency = choice
        closes = choice != "EveryHospital"
        self.enter_history(now, "EmergencyChoiceSet", {"patient": caller}, {"choice": choice}, closes=closes)

    @operation
    def allow_emergency(self, caller: int, now: int, hospital: int) -> None:
        require(self._registered(hospital), "ENTITY/UNKNOWN")
        require(self.entity(hospital).role == "Hospital", "CONSENT/NOT_HOSPITAL")
        self._name_hospital(caller, now, hospital, True)

    @operation
    def forbid_emergency(self, caller: int, now: int, hospital: int) -> None:
        require(hospital != 0, "CONSENT/ZERO_ADDRESS")
        self._name_hospital(caller, now, hospital, False)

    def _name_hospital(self, patient: int, now: int, hospital: int, allowed: bool) -> None:
        key = (patient, hospital, BREAK_THE_GLASS, 0)
        before = self.consent_record(key)
        self.state.consents[key] = consent = replace(
            before,
            status="Given" if allowed else "Refused",
            version=min(before.version + 1, U32_MAX),
            generation=self.patient(patient).generation,
        )
        self.enter_history(
            now,
            "EmergencyHospitalSet",
            {"patient": patient, "hospital": hospital},
            {"allowed": allowed, "version": consent.version, "generation": consent.generation},
            closes=not allowed,
        )

    def _only_delegate(self, caller: int, now: int, patient: int, power: int) -> None:
        delegation = self.state.delegations.get((patient, caller), Delegation())
        lasts = now < delegation.expires_at and delegation.epoch == self.patient(patient).delegate_epoch
        require(delegation.powers & power != 0 and lasts, "CONSENT/NOT_DELEGATE")

    def consent_record(self, key: Key) -> Consent:
        return self.state.consents.get(key, Consent())

    def patient(self, patient: int) -> Patient:
        return self.state.patients.get(patient, Patient())

    def patient_state(self, patient: int) -> dict[str, Any]:
        """What anyone may see of a patient as a whole."""
        state = self.patient(patient)
        return vars(state) | {"refused_purposes": refusal_bits(state.refused_purposes)}

    def refused_purposes(self, patient: int) -> list[int]:
        return [purpose for purpose in REFUSAL_BITS if purpose in self.patient(patient).refused_purposes]

    def emergency_naming(self, patient: int, hospital: int) -> str:
        return self.consent_record((patient, hospital, BREAK_THE_GLASS, 0)).status

    def _own(self, patient: int) -> Patient:
        """The patient's state, to be changed."""
        return self.state.patients.setdefault(patient, Patient())

    # ---------------------------------------------------------------- the decision

    def _is_live(self, now: int, key: Key) -> bool:
        """Given, not revoked since by `revoke_all`, and not expired; started or not."""
        consent = self.consent_record(key)
        alive = consent.status == "Given" and consent.generation >= self.patient(key[0]).floor
        return alive and now < consent.expires_at

    def _names(self, key: Key, consent: Consent, campaign: int) -> bool:
        """Whether a consent asks to be paid by exactly this campaign, and may be asked with it."""
        if not consent.rewarded or campaign == 0:
            return not consent.rewarded and campaign == 0
        return self.paid_uses(key, campaign).version == consent.version

    def uses(self, key: Key, campaign: int) -> int:
        """Permitted accesses since the consent was last given; of one with a reward, by its campaign."""
        consent = self.consent_record(key)
        if not consent.rewarded:
            return consent.uses
        cell = self.paid_uses(key, campaign)
        return cell.paid - cell.base if self._names(key, consent, campaign) else 0

    def verify_consent(
        self, now: int, patient: int, grantee: int, purpose: int, study: int, categories: int, campaign: int
    ) -> Verdict:
        """Decision, reason and the record they rest on. The first line that applies decides."""
        key = (patient, grantee, purpose, study)
        reason = self._reason(now, key, categories, campaign)
        decision = {"Granted": "Permit", "NeverGiven": "NoConsent"}.get(reason, "Deny")
        if reason in ("EntityUnknown", "EntitySuspended"):
            return Verdict(decision, reason, 0, False)  # no record was consulted
        consent = self.consent_record(key)
        return Verdict(decision, reason, consent.version, consent.scoped)

    def _reason(self, now: int, key: Key, categories: int | None, campaign: int) -> str:
        """The first reason against a use, or `Granted`; whatever the categories if they are None."""
        patient, grantee, purpose, _ = key
        entity, consent, state = self.entity(grantee), self.consent_record(key), self.patient(patient)
        if entity.role == "None":
            return "EntityUnknown"
        if entity.suspended:
            return "EntitySuspended"
        if purpose in state.refused_purposes:
            return "PurposeRefused"
        if consent.status == "None" or purpose == BREAK_THE_GLASS:
            return "NeverGiven"  # what is said about emergencies is no consent
        if consent.status != "Given":
            return consent.status
        if consent.generation < state.floor:
            return "AllRevoked"
        if now < consent.starts_at:
            return "NotStarted"
        if now >= consent.expires_at:
            return "Expired"
        if categories is not None and (categories == 0 or categories & ~consent.categories):
            return "CategoryNotCovered"
        if not self._names(key, consent, campaign):
            return "CampaignMismatch"
        if self.uses(key, campaign) >= (consent.max_uses or U32_MAX):
            return "UsesExhausted"
        if consent.rewarded and self.paid_uses(key, campaign).paid == U32_MAX:
            return "UsesExhausted"
        return "Granted"

    def consent(
        self, now: int, patient: int, grantee: int, purpose: int, study: int, campaign: int
    ) -> dict[str, Any]:
        """What anyone may see of a record, and what holds of it now."""
        key = (patient, grantee, purpose, study)
        shown = vars(self.consent_record(key)) | {"uses": self.uses(key, campaign)}
        return {"state": self._reason(now, key, None, campaign), **shown}


def nonce_of(generation: int, counter: int) -> int:
    """What an entry says of the signed message it burnt."""
    return generation * 2**32 + counter
