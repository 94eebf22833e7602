"""The only door to data: every request is decided, logged and, where the consent says so, paid."""

from .consents import Consents
from .state import Budget, Emergency, Head, PaidUses, operation
from .words import (
    ALL_CATEGORIES,
    BREAK_THE_GLASS,
    EMERGENCY_DELAY,
    JUSTIFY_WITHIN,
    MAX_BATCH,
    PURPOSES,
    AccessReceipt,
    AccessRequest,
    Subject,
    require,
)


class Access(Consents):
    @operation
    def request_access(self, caller: int, now: int, request: AccessRequest) -> AccessReceipt:
        return self._decide(caller, now, request)

    @operation
    def request_access_batch(
        self,
        caller: int,
        now: int,
        purpose: int,
        study: int,
        categories: int,
        campaign: int,
        subjects: list[Subject],
    ) -> list[AccessReceipt]:
        """Each request as if it came alone, in order; one malformed request voids the whole batch."""
        require(len(subjects) > 0, "ACCESS/EMPTY_BATCH")
        require(len(subjects) <= MAX_BATCH, "ACCESS/BATCH_TOO_LARGE")
        return [
            self._decide(
                caller,
                now,
                AccessRequest(subject.patient, purpose, study, categories, subject.record, campaign),
            )
            for subject in subjects
        ]

    @operation
    def request_emergency_access(
        self, caller: int, now: int, patient: int, categories: int, record: int
    ) -> AccessReceipt:
        require(patient != 0, "ACCESS/ZERO_PATIENT")
        require(0 < categories <= ALL_CATEGORIES, "ACCESS/BAD_CATEGORIES")
        entity = self._active(caller)
        version = 0
        if entity.role != "Hospital":
            decision, reason = "Deny", "NotHospital"
        elif now < entity.active_since + EMERGENCY_DELAY:
            decision, reason = "Deny", "HospitalTooNew"
        elif self.patient(patient).emergency == "Nobody":
            decision, reason = "Deny", "EmergencyRefused"
        else:
            naming = self.consent_record((patient, caller, BREAK_THE_GLASS, 0))
            version = naming.version
            if self._lets_break(self.patient(patient).emergency, naming.status):
                decision, reason = "Emergency", "BreakGlass"
            else:
                decision, reason = "Deny", "EmergencyRefused"
        request = AccessRequest(patient, BREAK_THE_GLASS, 0, categories, record, 0)
        receipt = self._log(caller, now, request, decision, reason, version, False)
        if decision == "Emergency":
            self.state.emergencies[patient, receipt.seq, caller] = Emergency(now)
        return receipt

    @staticmethod
    def _lets_break(choice: str, naming: str) -> bool:
        """Whether a patient who did not choose `Nobody` lets a hospital break the glass."""
        return naming == "Given" if choice == "NamedHospitals" else naming != "Refused"

    # ---------------------------------------------------------------- what is said afterwards

    @operation
    def justify_emergency(self, caller: int, now: int, patient: int, emergency: int, statement: int) -> None:
        """By the hospital itself, whoever suspended it meanwhile."""
        require(statement != 0, "ACCESS/ZERO_STATEMENT")
        cell = self.emergency(patient, emergency, caller)
        require(cell.at != 0, "ACCESS/NO_EMERGENCY")
        require(not cell.justified, "ACCESS/ALREADY_JUSTIFIED")
        require(now <= cell.at + JUSTIFY_WITHIN, "ACCESS/JUSTIFIED_TOO_LATE")
        cell.justified = True
        keys = {"patient": patient, "accessor": caller}
        data = {"emergency": emergency, "statement": statement}
        self.enter_log(now, "EmergencyJustified", keys, data)

    @operation
    def contest_emergency(self, caller: int, now: int, hospital: int, emergency: int) -> None:
        cell = self.emergency(caller, emergency, hospital)
        require(cell.at != 0, "ACCESS/NO_EMERGENCY")
        require(not cell.contested, "ACCESS/ALREADY_CONTESTED")
        cell.contested = True
        keys = {"patient": caller, "accessor": hospital}
        self.enter_log(now, "EmergencyContested", keys, {"emergency": emergency}, by_patient=True)

    @operation
    def state_deletion(
        self, caller: int, now: int, patient: int, purpose: int, study: int, statement: int
    ) -> None:
        require(statement != 0, "ACCESS/ZERO_STATEMENT")
        require(purpose in PURPOSES, "ACCESS/BAD_PURPOSE")
        entity = self._active(caller)
        consent = self.consent_record((patient, caller, purpose, study))
        require(consent.status != "None", "ACCESS/NO_CONSENT")
        self.enter_log(
            now,
            "DeletionStated",
            {"patient": patient, "accessor": caller, "purpose": purpose},
            {
                "study": study,
                "version": consent.version,
                "registration": entity.seq,
                "statement": statement,
            },
        )

    def emergency(self, patient: int, seq: int, hospital: int) -> Emergency:
        return self.state.emergencies.get((patient, seq, hospital), Emergency())

    def log(self, patient: int) -> Head:
        return self.state.logs.get(patient, Head())

    def history(self, patient: int) -> Head:
        return self.state.histories.get(patient, Head())

    # ---------------------------------------------------------------- deciding and logging

    def _decide(self, caller: int, now: int, request: AccessRequest) -> AccessReceipt:
        patient, purpose, campaign = request.patient, request.purpose, request.campaign
        require(purpose in PURPOSES, "ACCESS/BAD_PURPOSE")
        require(0 < request.categories <= ALL_CATEGORIES, "ACCESS/BAD_CATEGORIES")
        self._active(caller)
        require(patient != 0, "ACCESS/ZERO_PATIENT")
        key = (patient, caller, purpose, request.study)
        verdict = self.verify_consent(now, *key, request.categories, campaign)
        decision, reason = verdict.decision, verdict.reason
        if decision == "Permit" and campaign:
            budget = self.state.budgets.get((campaign, caller), Budget())
            if budget.left == 0:
                decision, reason = "Deny", "RewardUnfunded"
            elif now >= budget.expires_at:
                decision, reason = "Deny", "CampaignExpired"
            else:
                budget.left -= 1
                budget.paid += 1
                self.state.paid.setdefault((key, campaign), PaidUses()).paid += 1
        elif decision == "Permit":
            self.state.consents[key].uses += 1
        return self._log(caller, now, request, decision, reason, verdict.version, verdict.scoped)

    def _log(
        self,
        accessor: int,
        now: int,
        request: AccessRequest,
        decision: str,
        reason: str,
        version: int,
        scoped: bool,
    ) -> AccessReceipt:
        log = self.enter_log(
            now,
            "AccessLogged",
            {"patient": request.patient, "accessor": accessor, "purpose": request.purpose},
            {
                "study": request.study,
                "decision": decision,
                "reason": reason,
                "version": version,
                "scoped": scoped,
                "categories": request.categories,
                "record": request.record,
                "campaign": request.campaign,
                "registration": self.entity(accessor).seq,
            },
        )
        return AccessReceipt(decision, reason, log.count, log.head)
